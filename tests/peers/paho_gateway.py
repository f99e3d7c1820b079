"""A ThingsBoard of one gateway, made of paho-mqtt beside a broker that knows nothing, for tests.

usage: paho_gateway.py PORT

Answers provision requests with the token TOK; a request that asks for no gateway is refused. Once telemetry of a
gateway comes, it calls the device "B" (id 7) and one that is nobody's, and changes an attribute of "A". Prints the
answer to the call.
"""
import json
import sys

import paho.mqtt.client as mqtt

port = int(sys.argv[1])
ATTRIBUTES, CALLS, TELEMETRY = "v1/gateway/attributes", "v1/gateway/rpc", "v1/gateway/telemetry"
begun = False


def on_connect(peer, userdata, flags, reason, properties):
    peer.subscribe([("/provision/request", 1), (TELEMETRY, 1), (CALLS, 1)])


def on_subscribe(peer, userdata, mid, granted, properties):
    print("ready", flush=True)


def speak(peer):
    def say(topic, device, data):
        peer.publish(topic, json.dumps({"device": device, "data": data}), qos=1)

    say(ATTRIBUTES, "A", {"setpoint": 21})
    say(CALLS, "nobody", {"id": 6, "method": "setGpio", "params": {"pin": 2}})
    say(CALLS, "B", {"id": 7, "method": "setGpio", "params": {"pin": 3}})


def on_message(peer, userdata, message):
    global begun
    body = json.loads(message.payload)
    if message.topic == "/provision/request":
        answer = {"status": "FAILURE"}
        if body.get("gateway") is True:
            answer = {"status": "SUCCESS", "credentialsType": "ACCESS_TOKEN", "credentialsValue": "TOK"}
        peer.publish("/provision/response", json.dumps(answer), qos=1)
    elif message.topic == CALLS and "id" in body:
        print(json.dumps(body), flush=True)
    elif message.topic == TELEMETRY and not begun:
        begun = True
        speak(peer)


server = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="server")
server.on_connect = on_connect
server.on_subscribe = on_subscribe
server.on_message = on_message
server.connect("127.0.0.1", port, 30)
server.loop_forever()
