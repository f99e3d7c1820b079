//! What is asked, and what the answers mean.

use super::*;

fn dialect() -> ThingsBoard {
    ThingsBoard::new("K".into(), "S".into())
}

fn answer(status: Status, body: &str) -> Answer {
    dialect().provision_answer(&Reply {
        status,
        body: Bytes::copy_from_slice(body.as_bytes()),
    })
}

fn token_of(answer: &Answer) -> Option<&str> {
    match answer {
        Answer::Provisioned(Credentials::AccessToken(token)) => Some(token.expose_secret()),
        _ => None,
    }
}

fn token(text: &str) -> Credentials {
    Credentials::AccessToken(text.into())
}

#[test]
fn sends_credentials_of_every_kind_in_the_words_of_the_specification() {
    let basic = Credentials::mqtt_basic("c1", "u1", "p1");
    let nameless = Credentials::mqtt_basic("c1", "", "");
    let x509 = Credentials::X509 {
        certificate: "MIIB".into(),
    };
    for (own, fields) in [
        (
            basic,
            r#""credentialsType":"MQTT_BASIC","username":"u1","password":"p1","clientId":"c1""#,
        ),
        (
            nameless,
            r#""credentialsType":"MQTT_BASIC","clientId":"c1""#,
        ),
        (
            x509,
            r#""credentialsType":"X509_CERTIFICATE","hash":"MIIB""#,
        ),
    ] {
        let request = dialect().provision_request(TransportKind::Mqtts, "D1", Some(&own));
        let text = String::from_utf8(request.body.to_vec()).unwrap();
        assert!(text.ends_with(&format!(r#""S",{fields}}}"#)), "{text}");
    }
}

#[test]
fn a_certificate_needs_neither_login_nor_token() {
    let x509 = Credentials::X509 {
        certificate: "MIIB".into(),
    };
    let login = dialect().device_login("D1", &x509);
    assert!(login.username.is_none() && login.password.is_none());
    let path = |transport| {
        let request =
            dialect().telemetry_request(transport, &x509, Qos::AtLeastOnce, Bytes::new())?;
        match request.route {
            Route::Resource { path } => Some(path.expose_secret().to_owned()),
            Route::Topic { publish, .. } => Some(publish.into_owned()),
        }
    };
    assert_eq!(path(TransportKind::Coaps).unwrap(), "/api/v1/telemetry");
    assert_eq!(
        path(TransportKind::Mqtts).unwrap(),
        "v1/devices/me/telemetry"
    );
    assert_eq!(path(TransportKind::Coap), None);
    assert_eq!(path(TransportKind::Https), None);
}

#[test]
fn asks_in_the_words_of_the_specification() {
    let request = dialect().provision_request(TransportKind::Mqtt, "D1", None);
    assert_eq!(
        request.body,
        r#"{"deviceName":"D1","provisionDeviceKey":"K","provisionDeviceSecret":"S"}"#
    );
    let request = dialect().provision_request(TransportKind::Http, "D1", Some(&token("tok")));
    assert_eq!(
        request.body,
        r#"{"deviceName":"D1","provisionDeviceKey":"K","provisionDeviceSecret":"S","credentialsType":"ACCESS_TOKEN","token":"tok"}"#
    );
}

#[test]
fn understands_every_spelling_of_success() {
    for body in [
        r#"{"credentialsValue":"tok","credentialsType":"ACCESS_TOKEN","status":"SUCCESS"}"#,
        r#"{"provisionDeviceStatus":"SUCCESS","credentialsType":"ACCESS_TOKEN","accessToken":"tok"}"#,
        r#"{"status":"SUCCESS","credentialsValue":"tok","later":{"unknown":[1]}}"#,
    ] {
        assert_eq!(
            token_of(&answer(Status::Topic, body)),
            Some("tok"),
            "{body}"
        );
    }
}

#[test]
fn understands_mqtt_basic_as_object_and_as_text() {
    for body in [
        r#"{"credentialsValue":{"clientId":"","userName":"u","password":"p"},"credentialsType":"MQTT_BASIC","status":"SUCCESS"}"#,
        r#"{"credentialsValue":"{\"userName\":\"u\",\"password\":\"p\"}","credentialsType":"MQTT_BASIC","status":"SUCCESS"}"#,
    ] {
        let Answer::Provisioned(credentials) = answer(Status::Http(200), body) else {
            panic!("{body}")
        };
        let login = dialect().device_login("D1", &credentials);
        assert_eq!(login.client_id, "D1");
        assert_eq!(login.username.unwrap().expose_secret(), "u");
        assert_eq!(login.password.unwrap().expose_secret(), "p");
    }
}

#[test]
fn refusals_are_told_from_failures() {
    let not_found = r#"{"errorMsg":"Provision data was not found!","status":"NOT_FOUND"}"#;
    let failure = r#"{"errorMsg":"Failed to provision device!","status":"FAILURE"}"#;
    for (status, body, kind) in [
        (Status::Topic, not_found, FaultKind::NotFound),
        (Status::Http(200), failure, FaultKind::Failure),
        (Status::Coap(0x80), not_found, FaultKind::NotFound),
        (Status::Coap(0x80), failure, FaultKind::Failure),
    ] {
        let Answer::Refused(found) = answer(status, body) else {
            panic!("{status:?} {body}")
        };
        assert_eq!(found, kind);
    }
}

#[test]
fn an_answer_that_leaves_doubt_is_not_called_a_failure() {
    use FaultKind::*;
    for (status, body, kind, in_doubt) in [
        (
            Status::Topic,
            r#"{"credentialsValue":"ABC"#,
            MalformedAnswer,
            true,
        ),
        (Status::Topic, "", MalformedAnswer, true),
        (Status::Http(200), "[]", MalformedAnswer, true),
        (
            Status::Http(200),
            r#"{"status":"SUCCESS"}"#,
            AnswerWithoutCredentials,
            true,
        ),
        (
            Status::Http(200),
            r#"{"status":"SUCCESS","credentialsValue":""}"#,
            AnswerWithoutCredentials,
            true,
        ),
        (
            Status::Topic,
            r#"{"credentialsType":"LWM2M_CREDENTIALS","status":"SUCCESS"}"#,
            AnswerWithoutCredentials,
            true,
        ),
        (Status::Topic, r#"{"status":"MAYBE"}"#, UnknownStatus, true),
        (Status::Http(500), "", HttpStatus(500), true),
        (Status::Http(400), "{}", HttpStatus(400), false),
        (Status::Http(301), "", HttpStatus(301), false),
        (Status::Coap(0x80), "", CoapCode(0x80), false),
        (Status::Coap(0xA0), "", CoapCode(0xA0), true),
    ] {
        let Answer::Unusable {
            kind: found,
            in_doubt: doubt,
        } = answer(status, body)
        else {
            panic!("{status:?} {body}")
        };
        assert_eq!((found, doubt), (kind, in_doubt), "{status:?} {body}");
    }
}

#[test]
fn a_token_is_one_segment_of_a_path() {
    let token = Credentials::AccessToken("a/b?c d".into());
    let payload = Bytes::from_static(b"{}");
    let path = |transport| {
        let request =
            dialect().telemetry_request(transport, &token, Qos::AtLeastOnce, payload.clone());
        match request.unwrap().route {
            Route::Resource { path } => path.expose_secret().to_owned(),
            Route::Topic { publish, .. } => publish.into_owned(),
        }
    };
    assert_eq!(path(TransportKind::Http), "/api/v1/a%2Fb%3Fc%20d/telemetry");
    assert_eq!(path(TransportKind::Coap), "/api/v1/a%2Fb%3Fc%20d/telemetry");
    assert_eq!(path(TransportKind::Mqtt), "v1/devices/me/telemetry");
}

#[test]
fn a_device_named_provision_does_not_open_a_provisioning_session() {
    let login = dialect().device_login("provision", &Credentials::AccessToken("tok".into()));
    assert_ne!(login.client_id, "provision");
}

#[test]
fn nothing_secret_shows_in_debug_output() {
    let dialect = ThingsBoard::new("KEY-SECRET".into(), "SECRET-SECRET".into());
    let request = dialect.provision_request(TransportKind::Http, "D1", Some(&token("TOK-SECRET")));
    let success = answer(
        Status::Topic,
        r#"{"status":"SUCCESS","credentialsValue":"TOK-SECRET"}"#,
    );
    let text = format!("{dialect:?} {request:?} {success:?}");
    assert!(!text.contains("-SECRET"), "{text}");
}

#[test]
fn attributes_go_where_the_specification_says() {
    let (token, x509) = (
        token("T/1"),
        Credentials::X509 {
            certificate: "MIIB".into(),
        },
    );
    let request = |transport, credentials: &Credentials| {
        let body = Bytes::from_static(b"{}");
        dialect().attributes_request(transport, credentials, Qos::AtLeastOnce, body)
    };
    for (transport, credentials, place) in [
        (TransportKind::Mqtt, &token, "v1/devices/me/attributes"),
        (TransportKind::Mqtts, &x509, "v1/devices/me/attributes"),
        (TransportKind::Http, &token, "/api/v1/T%2F1/attributes"),
        (TransportKind::Coap, &token, "/api/v1/T%2F1/attributes"),
        (TransportKind::Coaps, &x509, "/api/v1/attributes"),
    ] {
        let found = match request(transport, credentials).unwrap().route {
            Route::Topic { publish, .. } => publish.into_owned(),
            Route::Resource { path } => path.expose_secret().to_owned(),
        };
        assert_eq!(found, place, "{transport:?}");
    }
    assert!(request(TransportKind::Https, &x509).is_none());
}
