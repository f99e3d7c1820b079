"""A ThingsBoard of one device, made of paho-mqtt beside a broker that knows nothing, for tests.

usage: paho_operator.py PORT calls|garbage|questions

Answers provision requests with the token TOK. Once telemetry comes, "calls" changes shared attributes once and
calls the device three times, the last with params that are no object; "garbage" sends what no server says: 200
calls without a method, ids that are no numbers, texts that are no JSON, and a flood of 3,000 attribute updates at
QoS 0. Then it calls the device once more, id 99. Prints a line of JSON for each answer of the device, and "done"
after that to 99. "questions" answers the device's own calls but every third and prints them and claims as lines of JSON;
"done" comes after the fourth call.
"""
import json
import sys
import threading

import paho.mqtt.client as mqtt

port, what = int(sys.argv[1]), sys.argv[2]
REQUEST, RESPONSE = "v1/devices/me/rpc/request/", "v1/devices/me/rpc/response/"
ATTRIBUTES, CLAIM = "v1/devices/me/attributes", "v1/devices/me/claim"
begun, done = threading.Event(), threading.Event()


def on_connect(peer, userdata, flags, reason, properties):
    topics = ["/provision/request", "v1/devices/me/telemetry"]
    topics += [CLAIM, REQUEST + "+"] if what == "questions" else [RESPONSE + "+"]
    peer.subscribe([(topic, 1) for topic in topics])


def on_subscribe(peer, userdata, mid, granted, properties):
    print("ready", flush=True)


def call(peer, number, method, params, qos=1):
    body = json.dumps({"method": method, "params": params})
    peer.publish(f"{REQUEST}{number}", body, qos=qos)


def speak(peer):
    if what == "calls":
        peer.publish(ATTRIBUTES, json.dumps({"setpoint": 21, "deleted": ["old"]}), qos=1)
        call(peer, 0, "setGpio", {"pin": 7})
        call(peer, 1, "zähler", {"pin": "é\"", "deep": [[1, {"a": None}]]})
        call(peer, 2, "plain", 5, qos=0)
    else:
        for n in range(200):
            peer.publish(f"{REQUEST}{n}", json.dumps({"params": {}}), qos=1)
        for topic in [f"{REQUEST}x", f"{REQUEST}-1", f"{REQUEST}99999999999999999999"]:
            peer.publish(topic, json.dumps({"method": "m"}), qos=1)
        for body in [b"", b"{", b"\xff\xfe", b"[]", b"5", b"[" * 100_000]:
            peer.publish(f"{REQUEST}7", body, qos=1)
            peer.publish(ATTRIBUTES, body, qos=1)
        for n in range(3_000):
            peer.publish(ATTRIBUTES, json.dumps({"n": n}), qos=0)
    call(peer, 99, "last", {"pin": 0})


def on_message(peer, userdata, message):
    if message.topic == "/provision/request":
        body = {"status": "SUCCESS", "credentialsType": "ACCESS_TOKEN", "credentialsValue": "TOK"}
        peer.publish("/provision/response", json.dumps(body), qos=1)
    elif message.topic.startswith(RESPONSE):
        told = {"id": message.topic[len(RESPONSE):], "qos": message.qos}
        print(json.dumps({**told, "body": message.payload.decode()}), flush=True)
        if message.topic == f"{RESPONSE}99":
            done.set()
    elif message.topic == CLAIM:
        print(json.dumps({"claim": message.payload.decode()}), flush=True)
    elif message.topic.startswith(REQUEST):
        number = message.topic[len(REQUEST):]
        print(json.dumps({"id": number, "body": message.payload.decode()}), flush=True)
        if int(number) % 3 != 2:
            peer.publish(f"{RESPONSE}{number}", json.dumps({"time": 1}), qos=1)
        if number == "3":
            done.set()
    elif not begun.is_set():
        begun.set()


operator = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="operator")
operator.on_connect = on_connect
operator.on_subscribe = on_subscribe
operator.on_message = on_message
operator.max_inflight_messages_set(0)
operator.connect("127.0.0.1", port, 30)
operator.loop_start()
if what == "questions" or begun.wait(30):
    if what != "questions":
        speak(operator)
    done.wait(30)
    print("done", flush=True)
operator.disconnect()
operator.loop_stop()
