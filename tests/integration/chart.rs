//! What the Helm chart has a copy of.

const DEFINITION: &str = include_str!("../../charts/stoker-operator/files/crd.yaml");

#[test]
fn the_chart_installs_the_definition_that_the_binary_prints() {
    let printed = stoker::api::crd_yaml().unwrap();
    assert_eq!(
        DEFINITION.trim_end(),
        printed.trim_end(),
        "type: stoker crd > charts/stoker-operator/files/crd.yaml"
    );
}
