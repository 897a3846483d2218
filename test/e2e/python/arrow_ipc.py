"""An Arrow IPC stream reader written from the format's specification alone, to check bytes that another library wrote.

No flatbuffers package, no pyarrow: tables are read by their vtables. Knows the types Millrace's SQL answers have. Prints one
JSON object: {"columns": [[name, type, nullable], ...], "batches": n, "rows": [[value, ...], ...]}. Integers, decimals, dates and
timestamps come out as text, floats as JSON numbers (NaN and infinities as text), null as null. Anything unexpected is an error.
"""
import datetime
import json
import struct
import sys

CONTINUATION = 0xFFFFFFFF
SCHEMA, DICTIONARY_BATCH, RECORD_BATCH = 1, 2, 3
NULL, INT, FLOAT, BINARY, UTF8, BOOL, DECIMAL, DATE, TIME, TIMESTAMP = range(1, 11)
PER_SECOND = {0: 1, 1: 10**3, 2: 10**6, 3: 10**9}


class Table:
    """A flatbuffers table: fields by slot, through the vtable."""

    def __init__(self, data, at):
        self.data, self.at = data, at
        self.vtable = at - struct.unpack_from("<i", data, at)[0]
        self.vtable_bytes = struct.unpack_from("<H", data, self.vtable)[0]

    @staticmethod
    def root(data):
        return Table(data, struct.unpack_from("<I", data, 0)[0])

    def place(self, slot):
        entry = 4 + 2 * slot
        offset = struct.unpack_from("<H", self.data, self.vtable + entry)[0] if entry < self.vtable_bytes else 0
        return self.at + offset if offset else None

    def scalar(self, slot, kind, default=0):
        at = self.place(slot)
        return default if at is None else struct.unpack_from("<" + kind, self.data, at)[0]

    def target(self, slot):
        at = self.place(slot)
        return None if at is None else at + struct.unpack_from("<I", self.data, at)[0]

    def table(self, slot):
        at = self.target(slot)
        return None if at is None else Table(self.data, at)

    def text(self, slot):
        at = self.target(slot)
        if at is None:
            return None
        length = struct.unpack_from("<I", self.data, at)[0]
        return bytes(self.data[at + 4 : at + 4 + length]).decode("utf-8")

    def vector(self, slot):
        """(place of the first element, count)"""
        at = self.target(slot)
        return (0, 0) if at is None else (at + 4, struct.unpack_from("<I", self.data, at)[0])

    def tables(self, slot):
        first, count = self.vector(slot)
        return [Table(self.data, at + struct.unpack_from("<I", self.data, at)[0]) for at in range(first, first + 4 * count, 4)]

    def structs(self, slot, layout):
        first, count = self.vector(slot)
        size = struct.calcsize("<" + layout)
        return [struct.unpack_from("<" + layout, self.data, first + i * size) for i in range(count)]


class Field:
    def __init__(self, table):
        self.name = table.text(0)
        self.nullable = bool(table.scalar(1, "b"))
        self.kind = table.scalar(2, "B")
        self.type = table.table(3)
        encoding = table.table(4)
        self.dictionary = None if encoding is None else encoding.scalar(0, "q")
        index = None if encoding is None else encoding.table(1)
        # No index type stands for int32 (Schema.fbs).
        self.index = (32, True) if index is None else (index.scalar(0, "i"), bool(index.scalar(1, "b")))
        if table.tables(5):
            raise ValueError(f"column {self.name} has children")

    def describe(self):
        names = {NULL: "null", UTF8: "utf8", BINARY: "binary", BOOL: "bool", DATE: "date", TIME: "time", TIMESTAMP: "timestamp"}
        if self.kind == INT:
            return ("int" if self.type.scalar(1, "b") else "uint") + str(self.type.scalar(0, "i"))
        if self.kind == FLOAT:
            return {0: "float16", 1: "float32", 2: "float64"}[self.type.scalar(0, "h")]
        if self.kind == DECIMAL:
            return f"decimal({self.type.scalar(0, 'i')},{self.type.scalar(1, 'i')})"
        return names[self.kind]


def bit(buffer, i):
    return buffer[i >> 3] >> (i & 7) & 1


def integers(buffer, rows, bits, signed):
    size = bits // 8
    return [int.from_bytes(buffer[i * size : (i + 1) * size], "little", signed=signed) for i in range(rows)]


def decimal_text(unscaled, scale):
    digits = str(abs(unscaled)).rjust(scale + 1, "0")
    return ("-" if unscaled < 0 else "") + (digits if scale == 0 else digits[:-scale] + "." + digits[-scale:])


def moment_text(value, per_second):
    seconds, fraction = divmod(value, per_second)
    text = str(datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds))
    digits = len(str(per_second)) - 1
    return text + ("." + str(fraction).rjust(digits, "0")).rstrip("0") if fraction else text


def float_value(value):
    return value if value == value and abs(value) != float("inf") else str(value)


class Reader:
    def __init__(self, data):
        self.data, self.at = memoryview(data), 0
        self.fields, self.dictionaries = None, {}
        self.rows, self.batches, self.ended = [], 0, False

    def messages(self):
        while self.at < len(self.data):
            mark, size = struct.unpack_from("<Ii", self.data, self.at)
            if mark != CONTINUATION:
                raise ValueError(f"no message at byte {self.at}")
            self.at += 8
            if size == 0:
                self.ended = True
                return
            if (self.at + size) % 8 != 0:
                raise ValueError("a message body is not at a multiple of 8")
            message = Table.root(self.data[self.at : self.at + size])
            self.at += size
            body = self.data[self.at : self.at + message.scalar(3, "q")]
            if len(body) != message.scalar(3, "q"):
                raise ValueError("the stream ends in the middle of a body")
            self.at += len(body)
            yield message.scalar(1, "B"), message.table(2), body

    def read(self):
        for kind, header, body in self.messages():
            if kind == SCHEMA:
                self.fields = [Field(table) for table in header.tables(1)]
            elif kind == DICTIONARY_BATCH:
                self.take_dictionary(header, body)
            elif kind == RECORD_BATCH:
                columns = self.columns(header, body, self.fields, encoded=True)
                self.rows += [list(row) for row in zip(*columns)]
                self.batches += 1
            else:
                raise ValueError(f"message of kind {kind}")
        if not self.ended or self.at != len(self.data):
            raise ValueError("the stream has no end marker, or bytes behind it")

    def take_dictionary(self, header, body):
        key = header.scalar(0, "q")
        field = next(f for f in self.fields if f.dictionary == key)
        values = self.columns(header.table(1), body, [field], encoded=False)[0]
        self.dictionaries[key] = self.dictionaries.get(key, []) + values if header.scalar(2, "b") else values

    def columns(self, batch, body, fields, encoded):
        if batch.table(3) is not None:
            raise ValueError("the bodies are compressed")
        rows = batch.scalar(0, "q")
        nodes = iter(batch.structs(1, "qq"))
        buffers = iter(body[offset : offset + length] for offset, length in batch.structs(2, "qq"))
        columns = []
        for field in fields:
            length, nulls = next(nodes)
            if length != rows:
                raise ValueError(f"column {field.name} has {length} of {rows} rows")
            columns.append(self.column(field, rows, nulls, buffers, encoded and field.dictionary is not None))
        if next(buffers, None) is not None or next(nodes, None) is not None:
            raise ValueError("buffers are left over")
        return columns

    def column(self, field, rows, nulls, buffers, codes):
        if field.kind == NULL and not codes:
            return [None] * rows
        validity = next(buffers)
        if nulls and len(validity) * 8 < rows:
            raise ValueError(f"column {field.name} has nulls and no validity for all rows")
        if codes:
            words = self.dictionaries[field.dictionary]
            values = integers(next(buffers), rows, *field.index)
            read = lambda i: words[values[i]]
        else:
            read = self.values(field, rows, buffers)
        column = [read(i) if not len(validity) or bit(validity, i) else None for i in range(rows)]
        if column.count(None) != nulls and not codes:
            raise ValueError(f"column {field.name} says {nulls} nulls and has {column.count(None)}")
        return column

    def values(self, field, rows, buffers):
        kind = field.kind
        if kind in (UTF8, BINARY):
            offsets, data = next(buffers), next(buffers)
            ends = integers(offsets, rows + 1, 32, True) if rows else [0]
            return (lambda i: bytes(data[ends[i] : ends[i + 1]]).decode("utf-8")) if kind == UTF8 else (lambda i: bytes(data[ends[i] : ends[i + 1]]).hex())
        data = next(buffers)
        if kind == BOOL:
            return lambda i: "true" if bit(data, i) else "false"
        if kind == FLOAT:
            code = {0: "e", 1: "f", 2: "d"}[field.type.scalar(0, "h")]
            return lambda i: float_value(struct.unpack_from("<" + code, data, i * struct.calcsize(code))[0])
        if kind == INT:
            numbers = integers(data, rows, field.type.scalar(0, "i"), bool(field.type.scalar(1, "b")))
            return lambda i: str(numbers[i])
        if kind == DECIMAL:
            numbers = integers(data, rows, field.type.scalar(2, "i", 128), True)
            return lambda i: decimal_text(numbers[i], field.type.scalar(1, "i"))
        if kind == DATE:
            days = field.type.scalar(0, "h", 1) == 0
            numbers = integers(data, rows, 32 if days else 64, True)
            return lambda i: str(datetime.date(1970, 1, 1) + datetime.timedelta(days=numbers[i] if days else numbers[i] // 86_400_000))
        if kind == TIMESTAMP:
            numbers = integers(data, rows, 64, True)
            return lambda i: moment_text(numbers[i], PER_SECOND[field.type.scalar(0, "h")])
        raise ValueError(f"column {field.name} has type {kind}")


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        reader = Reader(file.read())
    reader.read()
    json.dump({"columns": [[f.name, f.describe(), f.nullable] for f in reader.fields], "batches": reader.batches, "rows": reader.rows}, sys.stdout)
