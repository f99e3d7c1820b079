//! A run whose figures are pushed over OTLP, read by OpenTelemetry's own classes; without the feature, what is
//! said instead.

#[cfg(feature = "otlp")]
mod pushed;

#[cfg(not(feature = "otlp"))]
#[test]
fn a_build_without_the_feature_says_which_is_missing() {
    let scenario = "name = \"x\"\ntarget.embedded = true\ndevices.generate = { count = 1 }\n\
                    arrival.stages = [{ duration = \"1s\", rate = 1 }]\n";
    let ran = crate::support::Run::of(scenario)
        .arg("--otlp")
        .arg("http://127.0.0.1:4318")
        .finish();
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("--features otlp"), "{}", ran.stderr);
    assert!(!ran.out.exists());
}
