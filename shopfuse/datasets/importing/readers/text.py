"""The text of a source: which encoding it has, and its lines, of bounded length.

Nothing is replaced: a byte that the encoding lacks comes out as a lone surrogate (PEP 383), which `undecodable` finds.
"""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

import charset_normalizer

from shopfuse.datasets.importing.source_file import SourceFile, SourceFileError, looks_like_utf16, unpacked

MAX_LINE: Final = 8 * 2**20  # characters; a longer line is damage, and would be held in memory whole
UTF8: Final = "utf-8"
_MARKS: Final = {  # byte order marks; those of UTF-32 begin with those of UTF-16
    codecs.BOM_UTF8: UTF8,
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# What programs of shops write where they do not write Unicode; the first of those that fit equally well is taken.
_LEGACY: Final = (
    *("windows-1252", "windows-1250", "windows-1251", "windows-1253", "windows-1254", "windows-1257"),
    *("cp932", "gb18030", "big5", "cp949", "mac_roman", "cp850"),
)
# Differences that say nothing: of short texts, charset-normalizer takes "f³r" for as good a word as "für".
_EQUAL_CHAOS: Final = 0.01
_EQUAL_COHERENCE: Final = 0.2
_CHUNK: Final = 2**20
_SAMPLE: Final = 2**16  # bytes of lines that are not ASCII


def find_encoding(source: SourceFile) -> str:
    """By the byte order mark; else UTF-8 where the text is that, all of it or most of its lines that are not ASCII;
    else what charset-normalizer takes its other lines for. Reads the file once."""
    with unpacked(source) as (stream, _):
        head = stream.peek(_CHUNK)[:_CHUNK]
        for mark, name in _MARKS.items():
            if head.startswith(mark):
                return name
        if looks_like_utf16(head):
            return "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
        if _is_utf8(stream):
            return UTF8
    with unpacked(source) as (stream, _):
        damaged, intact = _foreign_lines(stream)
    return UTF8 if intact >= len(damaged) else _guess(b"".join(damaged))


def check_encoding(name: str) -> str:
    """The name of a text encoding that Python knows; LookupError otherwise."""
    codec = codecs.lookup(name)
    if not codec._is_text_encoding:
        raise LookupError(name)
    return UTF8 if codec.name in ("utf-8", "utf-8-sig") else codec.name.replace("cp125", "windows-125")


def _is_utf8(stream: BinaryIO) -> bool:
    decoder = codecs.getincrementaldecoder(UTF8)()
    try:
        while chunk := stream.read(_CHUNK):
            if not chunk.isascii() or decoder.getstate()[0]:
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _foreign_lines(stream: BinaryIO) -> tuple[list[bytes], int]:
    """Some lines that are not UTF-8, and how many lines up to there are, and are not ASCII."""
    damaged: list[bytes] = []
    intact = size = 0
    while size < _SAMPLE and (line := stream.readline(_SAMPLE)):
        if not line.isascii():
            try:
                line.decode()
                intact += 1
            except UnicodeDecodeError:
                damaged.append(line)
                size += len(line)
    return damaged, intact


def _guess(sample: bytes) -> str:
    """charset-normalizer's best; where several fit equally well the one that more programs write."""
    matches = list(charset_normalizer.from_bytes(sample, cp_isolation=list(_LEGACY)))
    if not matches:
        return _LEGACY[0]
    clear = [match for match in matches if match.chaos <= min(one.chaos for one in matches) + _EQUAL_CHAOS]
    likely = [match for match in clear if match.coherence >= max(one.coherence for one in clear) - _EQUAL_COHERENCE]
    fitting = {check_encoding(name) for match in likely for name in (match.encoding, *match.could_be_from_charset)}
    return next((name for name in _LEGACY if name in fitting), check_encoding(matches[0].encoding))


@contextmanager
def open_text(source: SourceFile, encoding: str, newline: str) -> Iterator[tuple[io.TextIOWrapper, BinaryIO]]:
    """The text without its byte order mark, and the file underneath. `newline` as open() has it."""
    codec = "utf-8-sig" if encoding == UTF8 else encoding
    with unpacked(source) as (stream, raw):
        text = io.TextIOWrapper(stream, codec, "surrogateescape", newline)
        try:
            yield text, raw
        except UnicodeDecodeError as error:  # of encodings whose units are wider than a byte
            raise SourceFileError(
                f"{source.path}: not {encoding}: byte 0x{error.object[error.start]:02x} after {raw.tell()} bytes: "
                f"{error.reason}; the mapping's 'encoding' names another"
            ) from error
        finally:
            text.detach()


def bounded_lines(text: io.TextIOWrapper) -> Iterator[str | None]:
    """Lines with their ends; None stands for a line of more than MAX_LINE characters, which is skipped."""
    while line := text.readline(MAX_LINE):
        if len(line) < MAX_LINE or line.endswith(("\n", "\r")):
            yield line
            continue
        while (rest := text.readline(MAX_LINE)) and not rest.endswith(("\n", "\r")):
            pass
        yield None


def undecodable(text: str, encoding: str) -> str:
    """What is wrong with a text in which a byte could not be decoded; empty where nothing is."""
    if text.isascii():
        return ""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        byte, before = ord(text[error.start]) & 0xFF, len(text[: error.start].encode(encoding, "surrogateescape"))
        return f"not valid {encoding}: byte 0x{byte:02x}, after {before} bytes of the row"
    return ""


def excerpt(text: str) -> str:
    """The start of a row as rejects show it, bytes that are no text spelled out."""
    return text[:200].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").strip()
