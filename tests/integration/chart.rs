//! The copies of generated files in the Helm chart.

const DEFINITION: &str = include_str!("../../charts/stoker-operator/files/crd.yaml");

#[test]
fn the_chart_installs_the_definition_that_the_binary_prints() {
    let printed = stoker_api::crd_yaml().unwrap();
    assert_eq!(
        DEFINITION.trim_end(),
        printed.trim_end(),
        "run: stoker crd > charts/stoker-operator/files/crd.yaml"
    );
}
