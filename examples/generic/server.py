"""Sends a number each second to whoever asks: the least server of eventing.proto."""

import itertools
import json
import time
from concurrent import futures

import eventing_pb2
import eventing_pb2_grpc
import grpc


class Eventing(eventing_pb2_grpc.EventingServicer):
    def StartEventSource(self, request, context):
        print(f"{request.name} asks for events with: {request.config.decode()}")
        for number in itertools.count():
            yield eventing_pb2.Event(name=request.name, payload=json.dumps({"number": number}).encode())
            time.sleep(1)


server = grpc.server(futures.ThreadPoolExecutor())
eventing_pb2_grpc.add_EventingServicer_to_server(Eventing(), server)
server.add_insecure_port("localhost:50051")
server.start()
server.wait_for_termination()
