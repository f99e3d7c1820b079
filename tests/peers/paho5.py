"""An MQTT 5 client made of paho-mqtt; prints what it saw as lines of JSON.

usage: paho5.py PORT provision REQUEST_JSON [telemetry]
       paho5.py PORT login CLIENT_ID [USER [PASSWORD]]
       paho5.py PORT hold TOKEN

"provision" subscribes in the connect callback and publishes at once, and leaves after the response
or the PUBACK that refuses it; with "telemetry" it connects again with the token and publishes three
messages at QoS 1 and one that is no JSON. "login" connects, and leaves if it may. "hold" connects,
prints a line, and stays until the server ends it. Reason codes are numbers.
"""
import json
import sys

import paho.mqtt.client as mqtt

port, what, rest = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
seen = {"puback": [], "response": None}


def client(name):
    made = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5
    )
    made.on_disconnect = on_disconnect
    return made


def on_connect(peer, userdata, flags, reason, properties):
    seen["connack"] = reason.value
    seen["session_present"] = int(flags.session_present)
    seen["properties"] = properties.json()


def on_disconnect(peer, userdata, flags, reason, properties):
    if flags.is_disconnect_packet_from_server:
        seen["disconnect"] = reason.value


def on_subscribe(peer, userdata, mid, granted, properties):
    seen["suback"] = [code.value for code in granted]


def on_publish(peer, userdata, mid, reason, properties):
    seen["puback"].append(reason.value)
    if reason.is_failure:
        peer.disconnect()


def on_message(peer, userdata, message):
    seen["response"] = message.payload.decode()
    seen["response_qos"] = message.qos
    peer.disconnect()


def run(peer):
    """Runs until either side has ended the connection."""
    peer.connect("127.0.0.1", port, 30, clean_start=True)
    while peer.loop(timeout=1.0) == mqtt.MQTT_ERR_SUCCESS:
        pass


def provision(request):
    def ask(peer, *args):
        on_connect(peer, *args)
        # A filter of its own, which the server does not know.
        peer.subscribe([("/provision/response", 1), ("/other", 1)])
        peer.publish("/provision/request", request, qos=1)

    peer = client("paho")
    peer.username_pw_set("provision")
    peer.on_connect = ask
    peer.on_subscribe = on_subscribe
    peer.on_publish = on_publish
    peer.on_message = on_message
    run(peer)


def telemetry():
    token = json.loads(seen["response"])["credentialsValue"]
    messages = [json.dumps({"temperature": n}) for n in range(3)] + ["{no json"]
    codes = []

    def send(peer, userdata, mid=None, reason=None, properties=None):
        if mid is not None:
            codes.append(reason.value)
        if len(codes) == len(messages):
            peer.disconnect()
        else:
            peer.publish("v1/devices/me/telemetry", messages[len(codes)], qos=1)

    def begin(peer, userdata, flags, reason, properties):
        seen["login"] = reason.value
        send(peer, userdata)

    device = client("any")
    device.username_pw_set(token)
    device.on_connect = begin
    device.on_publish = send
    run(device)
    seen["telemetry"] = codes


if what == "provision":
    provision(rest[0])
    if "telemetry" in rest:
        telemetry()
elif what == "login":
    peer = client(rest[0])
    if rest[1:]:
        peer.username_pw_set(*rest[1:])

    def leave(peer, userdata, flags, reason, properties):
        on_connect(peer, userdata, flags, reason, properties)
        if not reason.is_failure:
            peer.disconnect()

    peer.on_connect = leave
    run(peer)
elif what == "hold":
    peer = client("held")
    peer.username_pw_set(rest[0])

    def held(*args):
        on_connect(*args)
        print(json.dumps(seen), flush=True)

    peer.on_connect = held
    run(peer)

print(json.dumps(seen), flush=True)
