//! The target's REST API as curl sees it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::time::Duration;

use fleetcall::model::{Release, Strategy};
use fleetcall::target::{Profile, Rest, TargetConfig};
use serde_json::{Value, json};

use crate::support::api::{Api, ask, login};

impl Api {
    /// Imports; created, updated, and the errors in order.
    async fn import(&self, file: &str, columns: Value) -> (u64, u64, Vec<String>) {
        let mapping =
            json!({"columns": columns, "delimiter": ",", "header": true, "update": false});
        let body = json!({"file": file, "mapping": mapping});
        let (status, answer) = self.post("/api/device/bulk_import", body).await;
        assert_eq!(status, 200, "{answer}");
        let errors: Option<Vec<String>> = answer["errorsList"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line.as_str().map(str::to_owned))
            .collect();
        let mut errors = errors.unwrap();
        errors.sort();
        assert_eq!(answer["errors"], errors.len());
        (
            answer["created"].as_u64().unwrap(),
            answer["updated"].as_u64().unwrap(),
            errors,
        )
    }

    async fn provision(&self, name: &str, key: &str, secret: &str) -> Value {
        let body =
            json!({"deviceName": name, "provisionDeviceKey": key, "provisionDeviceSecret": secret});
        ask(&self.target, "", "POST", "/api/v1/provision", Some(body))
            .await
            .1
    }
}

fn columns() -> Value {
    json!([{"type": "NAME"}, {"type": "TYPE"}, {"type": "ACCESS_TOKEN"}, {"type": "SERVER_ATTRIBUTE", "key": "serial"}])
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_administrator_gets_in_and_only_for_a_time() {
    let api = Api::start(TargetConfig {
        rest: Rest {
            api_key: Some("the-key".into()),
            token_life: Duration::from_secs(1),
            ..Rest::default()
        },
        ..TargetConfig::default()
    })
    .await;
    let (status, wrong) = login(&api.target, "wrong").await;
    assert_eq!((status, &wrong["errorCode"]), (401, &json!(10)));
    assert_eq!(wrong["message"], "Invalid username or password");
    let devices = "/api/tenant/devices?pageSize=1&page=0";
    assert_eq!(ask(&api.target, "", "GET", devices, None).await.0, 401);
    let key = ask(&api.target, "ApiKey the-key", "GET", devices, None).await;
    assert_eq!(key.0, 200);
    let mut expired = api.get(devices).await;
    while expired.0 == 200 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        expired = api.get(devices).await;
    }
    assert_eq!((expired.0, &expired.1["errorCode"]), (401, &json!(11)));
    let pair = login(&api.target, "tenant").await.1;
    let refresh = json!({"refreshToken": pair["refreshToken"]});
    let refreshed = ask(&api.target, "", "POST", "/api/auth/token", Some(refresh)).await;
    assert_eq!(refreshed.0, 200);

    let older = Api::start(TargetConfig {
        release: Release::V4_2_1,
        rest: Rest {
            api_key: Some("the-key".into()),
            ..Rest::default()
        },
        ..TargetConfig::default()
    })
    .await;
    let key = ask(&older.target, "ApiKey the-key", "GET", devices, None).await;
    assert_eq!(key.0, 401, "keys came with release 4.3");
}

/// A profile of pre-provisioned devices, as it is posted.
fn checking(name: &str, key: &str) -> Value {
    json!({
        "name": name, "type": "DEFAULT", "transportType": "DEFAULT",
        "provisionType": "CHECK_PRE_PROVISIONED_DEVICES", "provisionDeviceKey": key,
        "profileData": {"configuration": {"type": "DEFAULT"},
            "transportConfiguration": {"type": "DEFAULT"},
            "provisionConfiguration": {"type": "CHECK_PRE_PROVISIONED_DEVICES", "provisionDeviceSecret": "s1"}},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_share_neither_name_nor_key_and_are_found_by_name() {
    let api = Api::start(TargetConfig::default()).await;
    let (status, made) = api
        .post("/api/deviceProfile", checking("meter", "k1"))
        .await;
    assert_eq!(status, 200, "{made}");
    for (name, key, taken) in [
        ("meter", "k2", "name"),
        ("other", "k1", "provision device key"),
    ] {
        let (status, refused) = api.post("/api/deviceProfile", checking(name, key)).await;
        let told = format!("Device profile with such {taken} already exists!");
        assert_eq!(
            (status, &refused["errorCode"], &refused["message"]),
            (400, &json!(31), &json!(told))
        );
    }
    let found = api
        .get("/api/deviceProfiles?pageSize=10&page=0&textSearch=met")
        .await
        .1;
    assert_eq!(found["data"][0]["provisionDeviceKey"], "k1");
    assert_eq!(found["totalElements"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_made_over_rest_provisions_at_once_and_what_it_made_is_seen() {
    let api = Api::start(TargetConfig::default()).await;
    let (_, made) = api
        .post("/api/deviceProfile", checking("meter", "k1"))
        .await;
    assert_eq!(api.provision("D1", "k1", "s1").await["status"], "FAILURE");
    let imported = api
        .import("name,type,token,serial\nD1,meter,t1,0012\n", columns())
        .await;
    assert_eq!(imported, (1, 0, Vec::new()));
    let device = api.named("D1").await;
    let id = device["id"]["id"].as_str().unwrap();
    let state = format!("/api/plugins/telemetry/DEVICE/{id}/values/attributes/SERVER_SCOPE");
    let before = api.get(&format!("{state}?keys=provisionState")).await.1;
    assert_eq!(before, json!([]), "imported is not provisioned");
    assert_eq!(
        api.provision("D1", "k1", "s1").await["credentialsValue"],
        "t1"
    );
    let after = api.get(&format!("{state}?keys=provisionState")).await.1;
    assert_eq!(after[0]["value"], "provisioned");
    assert!(after[0]["lastUpdateTs"].as_i64() >= device["createdTime"].as_i64());
    let serial = api.get(&format!("{state}?keys=serial")).await.1;
    assert_eq!(serial[0]["value"], 12, "the server guesses types");

    let telemetry = Some(json!({"temperature": 21.5}));
    let send = async || {
        ask(
            &api.target,
            "",
            "POST",
            "/api/v1/t1/telemetry",
            telemetry.clone(),
        )
        .await
    };
    assert_eq!(send().await.0, 200);
    let latest =
        format!("/api/plugins/telemetry/DEVICE/{id}/values/timeseries?keys=temperature,other");
    let latest = api.get(&latest).await.1;
    assert_eq!(latest["temperature"][0]["value"], "21.5");
    assert_eq!(latest["other"][0]["value"], Value::Null);

    let profile = format!("/api/deviceProfile/{}", made["id"]["id"].as_str().unwrap());
    assert_eq!(api.delete(&profile).await.0, 400, "a device has it");
    assert_eq!(
        api.delete(&format!("/api/device/{id}")).await,
        (200, Value::Null)
    );
    assert_eq!(api.named("D1").await["errorCode"], 32);
    assert_eq!(api.delete(&format!("/api/device/{id}")).await.0, 404);
    assert_eq!(api.delete(&profile).await.0, 200);
    assert_eq!(api.provision("D1", "k1", "s1").await["status"], "NOT_FOUND");
    assert_eq!(send().await.0, 401, "a deleted device's token is nobody's");
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_that_provisioned_themselves_are_listed_with_their_credentials() {
    let api = Api::start(TargetConfig {
        profiles: vec![Profile {
            strategy: Strategy::Allow,
            key: "K".into(),
            secret: "S".into(),
            ..Profile::default()
        }],
        ..TargetConfig::default()
    })
    .await;
    let mut tokens = Vec::new();
    for n in 0..5 {
        let answer = api.provision(&format!("D{n}"), "K", "S").await;
        tokens.push(answer["credentialsValue"].clone());
    }
    let page = api.get("/api/tenant/deviceInfos?pageSize=2&page=1").await.1;
    assert_eq!(
        (&page["totalPages"], &page["hasNext"]),
        (&json!(3), &json!(true))
    );
    let names: Vec<_> = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| &d["name"])
        .collect();
    assert_eq!(names, ["D2", "D3"]);
    let id = page["data"][0]["id"]["id"].as_str().unwrap();
    let credentials = api.get(&format!("/api/device/{id}/credentials")).await.1;
    assert_eq!(credentials["credentialsType"], "ACCESS_TOKEN");
    assert_eq!(credentials["credentialsId"], tokens[2]);
    let mut changed = credentials.clone();
    changed["credentialsId"] = json!("another");
    assert_eq!(
        api.post("/api/device/credentials", changed.clone()).await.0,
        200
    );
    let with = |token: &str| format!("/api/v1/{token}/telemetry");
    let send = |path: String| async move { (path, json!({"a": 1})) };
    let (path, body) = send(with("another")).await;
    assert_eq!(ask(&api.target, "", "POST", &path, Some(body)).await.0, 200);
    changed["credentialsId"] = tokens[3].clone();
    assert_eq!(
        api.post("/api/device/credentials", changed).await.0,
        400,
        "another device's"
    );
    // Without its mark a device can be provisioned once more.
    let path = format!("/api/plugins/telemetry/DEVICE/{id}/SERVER_SCOPE?keys=provisionState");
    assert_eq!(api.delete(&path).await.0, 200);
    let state = format!("/api/plugins/telemetry/DEVICE/{id}/values/attributes/SERVER_SCOPE");
    assert_eq!(api.get(&state).await.1, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_import_has_its_traps() {
    let api = Api::start(TargetConfig {
        rest: Rest {
            max_devices: 3,
            ..Rest::default()
        },
        ..TargetConfig::default()
    })
    .await;
    let file =
        "name,type,token,serial\n\nA,meter,ta,1\n ,meter,tb,2\nB,meter,ta,3\n<b>C</b>,meter,tc,4\n";
    let (created, updated, errors) = api.import(file, columns()).await;
    assert_eq!((created, updated), (1, 0), "{errors:?}");
    let lines: Vec<&str> = errors
        .iter()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(
        lines,
        ["Line 3", "Line 4", "Line 5"],
        "blank lines are not counted"
    );
    assert!(
        errors[0].contains("Device name should be specified!"),
        "{errors:?}"
    );

    // An existing device is overwritten though `update` is false, its credentials too.
    let again = api
        .import("name,type,token,serial\nA,pump,tz,9\n", columns())
        .await;
    assert_eq!(again, (0, 1, Vec::new()));
    let device = api.named("A").await;
    assert_eq!(device["type"], "pump", "a profile of that name was made");
    let id = device["id"]["id"].as_str().unwrap();
    let credentials = api.get(&format!("/api/device/{id}/credentials")).await.1;
    assert_eq!(credentials["credentialsId"], "tz");
    let serial =
        format!("/api/plugins/telemetry/DEVICE/{id}/values/attributes/SERVER_SCOPE?keys=serial");
    assert_eq!(
        api.get(&serial).await.1[0]["value"],
        1,
        "attributes alone are kept"
    );

    let mapping = json!({"columns": columns(), "delimiter": ",", "header": true, "update": false});
    let wide = json!({"file": "name,type,token,serial\nX,meter,tx,1,more\nY,meter,ty,1\n", "mapping": mapping});
    assert_eq!(api.post("/api/device/bulk_import", wide).await.0, 500);
    assert_eq!(
        api.named("Y").await["errorCode"],
        32,
        "nothing of it was imported"
    );
    let without = json!({"file": "name\nX\n", "mapping": {"columns": [{"type": "NAME"}], "delimiter": ",", "header": true}});
    assert_eq!(api.post("/api/device/bulk_import", without).await.0, 500);

    // The tenant's limit cuts the import in the middle.
    let (created, _, errors) = api
        .import("name,type,token,serial\nP,m,,\nQ,m,,\nR,m,,\n", columns())
        .await;
    assert_eq!((created, errors.len()), (2, 1));
    assert!(errors[0].contains("more then 3 devices"), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_get_errors_and_the_target_goes_on() {
    let api = Api::start(TargetConfig::default()).await;
    for (method, path, body) in [
        ("POST", "/api/device/bulk_import", json!("no object")),
        ("POST", "/api/device", json!([1, 2])),
        ("POST", "/api/device", json!({"name": "x\u{0}"})),
        ("POST", "/api/deviceProfile", json!({"name": 7})),
        (
            "POST",
            "/api/device/credentials",
            json!({"deviceId": {"id": "nobody"}}),
        ),
        ("GET", "/api/tenant/devices?pageSize=0&page=0", Value::Null),
        ("GET", "/api/tenant/devices?pageSize=-1&page=x", Value::Null),
        ("GET", "/api/device/not-an-id", Value::Null),
        (
            "DELETE",
            "/api/device/00000000-0000-0000-0000-000000000000",
            Value::Null,
        ),
        ("GET", "/api/nothing/here", Value::Null),
    ] {
        let (status, told) = ask(&api.target, &api.token, method, path, Some(body)).await;
        assert!(
            (400..500).contains(&status),
            "{method} {path}: {status} {told}"
        );
        assert_eq!(told["status"], status, "{method} {path}: {told}");
    }
    let far = api
        .get("/api/tenant/devices?pageSize=1000000000&page=1000000000")
        .await;
    assert_eq!((far.0, &far.1["data"]), (200, &json!([])));
}
