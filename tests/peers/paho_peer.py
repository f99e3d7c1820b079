"""An MQTT client made of paho-mqtt that does as it is told, for tests.

usage: paho_peer.py PORT TOKEN [5]

Connects with the token (with "5" in MQTT 5) and prints one line of JSON for whatever happens:
{"connected": code}, {"subscribed": [codes]}, {"acked": mid, "reason": code}, {"topic": …, "payload": …, "qos": …},
{"disconnected": code}. Reads orders from its standard input, one line of JSON each:
{"subscribe": [[filter, qos], …]} and {"publish": topic, "payload": text, "qos": n}. Calls of the server get the
reply {"method": …, "params": …} by themselves, as a device or as a gateway. Ends with its input.
"""
import json
import sys
import threading

import paho.mqtt.client as mqtt

port, token = int(sys.argv[1]), sys.argv[2]
version = mqtt.MQTTv5 if "5" in sys.argv[3:] else mqtt.MQTTv311
lock = threading.Lock()


def say(**what):
    with lock:
        print(json.dumps(what), flush=True)


def code(value):
    return value if isinstance(value, int) else value.value


def on_connect(peer, userdata, flags, reason, properties):
    say(connected=code(reason))


def on_subscribe(peer, userdata, mid, granted, properties):
    say(subscribed=[code(value) for value in granted])


def on_publish(peer, userdata, mid, reason, properties):
    say(acked=mid, reason=code(reason))


def on_disconnect(peer, userdata, flags, reason, properties):
    say(disconnected=code(reason))


def on_message(peer, userdata, message):
    text = message.payload.decode()
    say(topic=message.topic, payload=text, qos=message.qos)
    if message.topic == "v1/gateway/rpc":
        call = json.loads(text)
        data = call["data"]
        reply = {"method": data["method"], "params": data["params"]}
        told = {"device": call["device"], "id": data["id"], "data": reply}
        peer.publish("v1/gateway/rpc", json.dumps(told), qos=1)
    elif "request/" in message.topic or "/req/" in message.topic:
        reply = message.topic.replace("request/", "response/").replace("/req/", "/res/")
        peer.publish(reply, text, qos=1)


peer = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="peer", protocol=version)
peer.username_pw_set(token)
peer.on_connect = on_connect
peer.on_subscribe = on_subscribe
peer.on_publish = on_publish
peer.on_disconnect = on_disconnect
peer.on_message = on_message
peer.reconnect_on_failure = False
peer.connect("127.0.0.1", port, 30)
peer.loop_start()
for line in sys.stdin:
    order = json.loads(line)
    if "subscribe" in order:
        peer.subscribe([tuple(pair) for pair in order["subscribe"]])
    else:
        peer.publish(order["publish"], order["payload"], qos=order["qos"])
peer.disconnect()
peer.loop_stop()
