"""Connects over TLS with paho-mqtt, step by step, and prints what each step saw as a JSON list.

usage: paho_tls.py PORT CA_FILE STEPS_JSON

A step is an object, all of it optional: "cert" and "key" (PEM files of a client certificate),
"user" and "client" (of CONNECT), "request" (a provision request, sent and its response awaited),
"messages" (how many telemetry messages are published at QoS 1), "stay" (wait until the server
closes).
"""
import json
import sys
import threading

import paho.mqtt.client as mqtt

port, authority, steps = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])


def take(step):
    seen = {"connack": None}
    told, closed = threading.Event(), threading.Event()
    # The newer callbacks would translate the codes of CONNACK to those of MQTT 5.
    peer = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION1, client_id=step.get("client", "paho")
    )
    peer.tls_set(authority, step.get("cert"), step.get("key"))
    if "user" in step:
        peer.username_pw_set(step["user"])

    def on_connect(peer, userdata, flags, code):
        seen["connack"] = code
        if "request" in step:
            peer.subscribe("/provision/response", qos=1)
            peer.publish("/provision/request", step["request"], qos=1)
        else:
            told.set()

    def on_message(peer, userdata, message):
        seen["response"] = message.payload.decode()
        told.set()

    def on_disconnect(peer, userdata, code):
        told.set()
        closed.set()

    peer.on_connect, peer.on_message, peer.on_disconnect = on_connect, on_message, on_disconnect
    peer.connect("127.0.0.1", port, 30)
    # Not loop_start, which would connect again whenever the server closes.
    loop = threading.Thread(target=follow, args=(peer,), daemon=True)
    loop.start()
    told.wait(20)
    if seen["connack"] == 0 and not closed.is_set():
        seen["acked"] = 0
        for n in range(step.get("messages", 0)):
            sent = peer.publish("v1/devices/me/telemetry", json.dumps({"n": n}), qos=1)
            sent.wait_for_publish(20)
            seen["acked"] += sent.is_published()
        if step.get("stay"):
            seen["closed"] = closed.wait(20)
        peer.disconnect()
    loop.join(20)
    return seen


def follow(peer):
    while peer.loop(timeout=1.0) == mqtt.MQTT_ERR_SUCCESS:
        pass


print(json.dumps([take(step) for step in steps]))
