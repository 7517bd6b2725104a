use super::*;

/// A store whose answer can change.
struct FakeStore {
    answer: Mutex<Result<SecretData, StoreError>>,
    reads: Mutex<Vec<ObjectKey>>,
}

impl SecretStore for FakeStore {
    fn get(&self, key: &ObjectKey) -> BoxFuture<'static, Result<SecretData, StoreError>> {
        self.reads.lock().unwrap().push(key.clone());
        std::future::ready(self.answer.lock().unwrap().clone()).boxed()
    }
}

struct Fixture {
    store: Arc<FakeStore>,
    cache: SecretCache,
}

impl Fixture {
    fn new(data: &[(&str, &str)]) -> Self {
        let store = Arc::new(FakeStore {
            answer: Mutex::new(Ok(secret_data(data))),
            reads: Mutex::default(),
        });
        let cache = SecretCache::new(Arc::clone(&store) as Arc<dyn SecretStore>);
        Self { store, cache }
    }

    fn answer(&self, answer: Result<SecretData, StoreError>) {
        *self.store.answer.lock().unwrap() = answer;
    }

    async fn get(&self) -> Result<(Vec<String>, bool), SecretError> {
        let reference = reference("hook", "token");
        let stored = self.cache.get("plants", &reference).await?;
        Ok((stored.secret.values().to_vec(), stored.is_current))
    }

    fn reads(&self) -> usize {
        self.store.reads.lock().unwrap().len()
    }
}

fn secret_data(data: &[(&str, &str)]) -> SecretData {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), value.as_bytes().to_vec());
    data.iter().map(pair).collect()
}

fn reference(name: &str, key: &str) -> SecretKey {
    SecretKey {
        name: name.to_owned(),
        key: key.to_owned(),
    }
}

fn unavailable() -> Result<SecretData, StoreError> {
    Err(StoreError::Unavailable("refused".to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_read_once_a_second_and_a_change_holds_within_a_second() {
    let fixture = Fixture::new(&[("token", "first\n"), ("token-previous", "zeroth")]);
    let first = (vec!["first".to_owned(), "zeroth".to_owned()], true);
    for _ in 0..5 {
        assert_eq!(fixture.get().await.unwrap(), first);
    }
    assert_eq!(fixture.reads(), 1);
    fixture.answer(Ok(secret_data(&[("token", "second")])));
    tokio::time::advance(Duration::from_millis(999)).await;
    assert_eq!(fixture.get().await.unwrap(), first);
    tokio::time::advance(Duration::from_millis(1)).await;
    let second = (vec!["second".to_owned()], true);
    assert_eq!(fixture.get().await.unwrap(), second);
    assert_eq!(fixture.reads(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_last_known_value_is_used_for_an_hour_without_an_answer() {
    let fixture = Fixture::new(&[("token", "first")]);
    assert!(fixture.get().await.unwrap().1);
    fixture.answer(unavailable());
    for passed in [Duration::from_secs(1), Duration::from_secs(3599)] {
        tokio::time::advance(passed).await;
        let last = (vec!["first".to_owned()], false);
        assert_eq!(fixture.get().await.unwrap(), last);
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    let error = fixture.get().await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_removed_secret_is_forgotten_at_once() {
    let fixture = Fixture::new(&[("token", "first")]);
    assert!(fixture.get().await.is_ok());
    fixture.answer(Err(StoreError::Refused("not found".to_owned())));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(!fixture.get().await.unwrap_err().is_temporary());
    fixture.answer(unavailable());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(
        fixture.get().await.is_err(),
        "the value is not known any more"
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_unavailable_after_two_seconds() {
    struct Silent;
    impl SecretStore for Silent {
        fn get(&self, _key: &ObjectKey) -> BoxFuture<'static, Result<SecretData, StoreError>> {
            std::future::pending().boxed()
        }
    }
    let cache = SecretCache::new(Arc::new(Silent));
    let (began, reference) = (Instant::now(), reference("hook", "token"));
    let error = cache.get("plants", &reference).await;
    assert!(error.unwrap_err().is_temporary());
    assert_eq!(began.elapsed(), READ_TIME);
    let deadline = began + Duration::from_secs(8);
    let error = cache
        .get_by("plants", &reference, Wanted::Known, deadline)
        .await;
    assert!(error.unwrap_err().is_temporary());
    assert!(Instant::now() <= deadline);
}

#[tokio::test(start_paused = true)]
async fn a_caller_waits_for_the_wanted_value_until_its_deadline() {
    let get_by = async |fixture: &Fixture, wanted| {
        let (began, reference) = (Instant::now(), reference("hook", "token"));
        let deadline = began + Duration::from_secs(8);
        let found = fixture.cache.get_by("plants", &reference, wanted, deadline);
        let found = found.await.map(|stored| stored.is_current);
        (found.ok(), began.elapsed().as_secs())
    };
    let recover = async |fixture: &Fixture| {
        tokio::time::sleep(Duration::from_secs(5)).await;
        fixture.answer(Ok(secret_data(&[("token", "first")])));
    };
    let fixture = Fixture::new(&[]);
    fixture.answer(unavailable());
    assert_eq!(get_by(&fixture, Wanted::Known).await, (None, 7));
    let (found, ()) = tokio::join!(get_by(&fixture, Wanted::Known), recover(&fixture));
    assert_eq!(found, (Some(true), 5));
    // The last known value.
    fixture.answer(unavailable());
    tokio::time::advance(PERIOD).await;
    assert_eq!(get_by(&fixture, Wanted::Known).await, (Some(false), 0));
    assert_eq!(get_by(&fixture, Wanted::Current).await, (Some(false), 7));
    let (found, ()) = tokio::join!(get_by(&fixture, Wanted::Current), recover(&fixture));
    assert_eq!(found, (Some(true), 5));
    // What another read would not change.
    fixture.answer(Err(StoreError::Refused("not found".to_owned())));
    tokio::time::advance(PERIOD).await;
    assert_eq!(get_by(&fixture, Wanted::Current).await, (None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_secret_without_a_usable_value_is_an_error() {
    for data in [
        secret_data(&[]),
        secret_data(&[("other", "value")]),
        secret_data(&[("token-previous", "value")]),
        secret_data(&[("token", ""), ("token-previous", "value")]),
        secret_data(&[("token", " \r\n")]),
        secret_data(&[("token", "1\n2\n3\n4\n5\n6\n7\n8\n9")]),
        SecretData::from([("token".to_owned(), vec![0xff])]),
    ] {
        let fixture = Fixture::new(&[]);
        fixture.answer(Ok(data.clone()));
        let error = fixture.get().await.unwrap_err();
        assert!(!error.is_temporary(), "{data:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_not_one_of_an_object_is_not_read() {
    let fixture = Fixture::new(&[("token", "first")]);
    for name in ["", "a/b", "..", "../../namespaces/other/secrets/x", "A"] {
        let answer = fixture.cache.get("plants", &reference(name, "token")).await;
        assert!(answer.is_err(), "{name}");
    }
    assert_eq!(fixture.reads(), 0);
}

#[test]
fn the_number_of_known_secrets_is_bounded() {
    let known = KnownSecrets::default();
    for index in 0..CAPACITY + 10 {
        let key = ObjectKey::new("plants", &format!("hook-{index}")).unwrap();
        assert!(known.update(&key, Ok(SecretData::new())).is_ok());
    }
    assert_eq!(known.0.lock().unwrap().len(), CAPACITY);
}
