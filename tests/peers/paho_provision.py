"""Provisions a device with paho-mqtt and prints what was seen as one line of JSON.

usage: paho_provision.py PORT CALLBACK_VERSION(1|2) REQUEST_JSON [telemetry]

As the platform's user guide does it: user name "provision", subscribe in the connect callback and
publish at once, disconnect after the response. With "telemetry" it connects again with the token
and publishes three messages at QoS 1.
"""
import json
import sys

import paho.mqtt.client as mqtt

port, version, request = int(sys.argv[1]), sys.argv[2], sys.argv[3]
callbacks = getattr(mqtt.CallbackAPIVersion, "VERSION" + version)
seen = {"connack": None, "suback": None, "puback": 0, "response": None, "acked": 0}


def client(name):
    made = mqtt.Client(callbacks, client_id=name, protocol=mqtt.MQTTv311)
    made.on_disconnect = lambda *args: None
    return made


def code(value):
    return value if isinstance(value, int) else value.value


def on_connect(peer, userdata, flags, reason, properties=None):
    seen["connack"] = code(reason)
    present = flags["session present"] if version == "1" else flags.session_present
    seen["session_present"] = int(present)
    peer.subscribe("/provision/response", qos=1)
    peer.publish("/provision/request", request, qos=1)


def on_subscribe(peer, userdata, mid, granted, properties=None):
    seen["suback"] = [code(value) for value in granted]


def on_publish(peer, userdata, mid, reason=None, properties=None):
    seen["puback"] += 1


def on_message(peer, userdata, message):
    seen["response"] = message.payload.decode()
    seen["response_qos"] = message.qos
    peer.disconnect()


peer = client("paho")
peer.username_pw_set("provision")
peer.on_connect = on_connect
peer.on_subscribe = on_subscribe
peer.on_publish = on_publish
peer.on_message = on_message
peer.connect("127.0.0.1", port, 30)
# Ends by the response, or by the server when it closes.
while peer.loop(timeout=1.0) == mqtt.MQTT_ERR_SUCCESS:
    pass

if "telemetry" in sys.argv:
    token = json.loads(seen["response"])["credentialsValue"]
    device = client("any")
    device.username_pw_set(token)
    device.on_connect = lambda peer, u, f, reason, p=None: seen.update(login=code(reason))
    device.connect("127.0.0.1", port, 30)
    device.loop_start()
    for n in range(3):
        sent = device.publish("v1/devices/me/telemetry", json.dumps({"temperature": n}), qos=1)
        sent.wait_for_publish(20)
        seen["acked"] += sent.is_published()
    device.disconnect()
    device.loop_stop()

print(json.dumps(seen))
