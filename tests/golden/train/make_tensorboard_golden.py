#!/usr/bin/env python3
"""Events as TensorBoard's own classes write them: tensorboard_events.tfrecord.

usage: make_tensorboard_golden.py   (needs the package tensorboard; written with 2.21)
"""
import io
import pathlib

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

EVENTS = [
    event_pb2.Event(wall_time=1700000000.25, file_version="brain.Event:2"),
    event_pb2.Event(wall_time=1700000000.5, step=300, session_log=event_pb2.SessionLog(
        status=event_pb2.SessionLog.START)),
    event_pb2.Event(wall_time=1700000001.0, step=1, summary=summary_pb2.Summary(value=[
        summary_pb2.Summary.Value(tag="train/loss", simple_value=2.25),
        summary_pb2.Summary.Value(tag="train/zero", simple_value=0.0)])),
    event_pb2.Event(wall_time=1700000002.0, step=70000, summary=summary_pb2.Summary(value=[
        summary_pb2.Summary.Value(tag="val/accuracy", simple_value=float("nan"))])),
]


class Bytes(io.BytesIO):
    def close(self):  # the writer closes what it is given
        pass


stream = Bytes()
writer = RecordWriter(stream)
for event in EVENTS:
    writer.write(event.SerializeToString())
writer.close()
path = pathlib.Path(__file__).parent / "tensorboard_events.tfrecord"
path.write_bytes(stream.getvalue())
print(f"{path}: {path.stat().st_size} bytes")
