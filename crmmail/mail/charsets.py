"""Bytes to text by the charset a message declares, from an allow-list.

Python's codec registry also answers to `hex`, `zlib`, `idna`, `unicode_escape`, paths and names that run code, so only
what mail really uses is looked up, under the meaning the web gives it (WHATWG Encoding: latin-1 is windows-1252, gb2312
is gb18030, shift_jis is cp932). Decoding never raises; what cannot be read becomes U+FFFD.
"""

from __future__ import annotations

from functools import lru_cache

_ALIASES = {
    "cp1252": "latin1 l1 iso88591 iso885911987 iso8859 windows1252 cp1252 xcp1252 ansi ansix31101983 xansi cp819",
    "ascii": "usascii ascii ansix341968 iso646us us ibm367 cp367 unknown8bit 8bit xunknown unknown default none",
    "utf-8": "utf8 utf8mb4 unicode11utf8 unicode20utf8 xutf8 utf 65001 cp65001",
    "utf-7": "utf7 unicode11utf7 xunicode20utf7",
    "utf-16": "utf16 unicode ucs2 iso10646ucs2",
    "utf-16-le": "utf16le",
    "utf-16-be": "utf16be",
    "utf-32": "utf32 ucs4",
    "utf-32-le": "utf32le",
    "utf-32-be": "utf32be",
    "gb18030": "gb18030 gb2312 gbk gb231280 cp936 ms936 windows936 xgbk euccn eucgb2312cn chinese csgb2312 isoir58",
    "hz": "hzgb2312 hz",
    "big5hkscs": "big5 big5hkscs cnbig5 csbig5 xxbig5 big5tw cp950",
    "cp932": "shiftjis sjis xsjis mskanji windows31j cp932 csshiftjis ms932",
    "euc_jp": "eucjp xeucjp cseucpkdfmtjapanese ujis",
    "iso2022_jp_ext": "iso2022jp csiso2022jp iso2022jp1 iso2022jpms cp50220 cp50221 cp50222 iso2022jpext",
    "iso2022_jp_2": "iso2022jp2",
    "cp949": "euckr ksc5601 ksc56011987 ksc56011989 ksc56011992 cp949 uhc windows949 korean cseuckr",
    "iso2022_kr": "iso2022kr csiso2022kr",
    "johab": "johab cp1361",
    "cp1250": "windows1250 cp1250 xcp1250",
    "cp1251": "windows1251 cp1251 xcp1251",
    "cp1253": "windows1253 cp1253",
    "cp1254": "windows1254 cp1254 iso88599 latin5 l5",
    "cp1255": "windows1255 cp1255",
    "cp1256": "windows1256 cp1256",
    "cp1257": "windows1257 cp1257",
    "cp1258": "windows1258 cp1258",
    "cp874": "windows874 tis620 iso885911 cp874",
    "iso8859_2": "iso88592 latin2 l2",
    "iso8859_3": "iso88593 latin3",
    "iso8859_4": "iso88594 latin4",
    "iso8859_5": "iso88595 cyrillic",
    "iso8859_6": "iso88596 iso88596i iso88596e arabic",
    "iso8859_7": "iso88597 greek elot928",
    "iso8859_8": "iso88598 iso88598i iso88598e hebrew",
    "iso8859_10": "iso885910 latin6",
    "iso8859_13": "iso885913 latin7",
    "iso8859_14": "iso885914 latin8",
    "iso8859_15": "iso885915 latin9 latin0",
    "iso8859_16": "iso885916 latin10",
    "koi8-r": "koi8r koi8 koi",
    "koi8-u": "koi8u koi8ru",
    "mac_roman": "macintosh mac macroman xmacroman",
    "mac_cyrillic": "xmaccyrillic maccyrillic",
    "mac_latin2": "xmacce maccentraleurope xmaccentraleurroman",
    "cp437": "ibm437 cp437",
    "cp850": "ibm850 cp850",
    "cp852": "ibm852 cp852",
    "cp855": "ibm855 cp855",
    "cp857": "ibm857 cp857",
    "cp858": "ibm858 cp858",
    "cp862": "ibm862 cp862 dos862",
    "cp866": "ibm866 cp866",
}
_CODECS = {alias: codec for codec, aliases in _ALIASES.items() for alias in aliases.split()}


@lru_cache(maxsize=256)
def codec_for(charset: str) -> str:
    """The codec for a declared charset; '' for one that is unknown or no charset of mail."""
    if len(charset) > 60:
        return ""
    key = charset.strip(" \t\"'").lower().translate({ord(mark): None for mark in "-_.: ()/"})
    return _CODECS.get(key, "")


def decode(octets: bytes, charset: str = "") -> str:
    """`octets` as text. Undeclared, unknown and us-ascii mean: UTF-8 if it is that, else windows-1252."""
    codec = codec_for(charset) if charset else "ascii"
    if codec in ("", "ascii", "utf-8"):
        return _guess(octets)
    if codec == "utf-16" and not octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        codec = "utf-16-be"  # RFC 2781 §4.3
    try:
        text = octets.decode(codec)
    except UnicodeDecodeError:
        text = octets.decode(codec, "replace")
    return _without_surrogates(text) if codec.startswith("utf") and not text.isascii() else text


def _guess(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return _guess_with_flaws(octets)


def _guess_with_flaws(octets: bytes) -> str:
    # Not one valid multi-byte sequence: it is no UTF-8 with a flaw but one of the 8-bit sets.
    if octets.decode("utf-8", "ignore").isascii():
        return octets.decode("cp1252", "replace")
    return octets.decode("utf-8", "replace")


def _without_surrogates(text: str) -> str:
    """utf-7 and utf-16 codecs may let lone surrogates through; nothing after us could store them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
