"""Picture formats: those that are decoded, and those that are recognised only to name them in an error."""

import re

from PIL import AvifImagePlugin, Image, Jpeg2KImagePlugin, TiffImagePlugin, WebPImagePlugin

# Formats whose header says how large the picture is. Icons are excluded, because Pillow decodes the pictures in them
# while it opens the file. Formats that call other programs are excluded too.
_READ = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF", "HEIF")
_HEIF_BRANDS = rb"heic|heix|heim|heis|hevc|hevx|hevm|hevs|mif1|msf1|mif2|miaf"
# Leading bytes of each format; the first match counts. The names in _READ are Pillow's, the others are for error
# messages.
_SIGNATURES = tuple(
    (name, re.compile(pattern, re.DOTALL))
    for name, pattern in (
        ("PNG", rb"\x89PNG\r\n\x1a\n"),
        ("JPEG", rb"\xff\xd8\xff"),
        ("GIF", rb"GIF8[79]a"),
        ("WEBP", rb"RIFF....WEBP"),
        ("TIFF", rb"II\*\0|MM\0\*|II\x2b\0"),
        ("big-endian BigTIFF", rb"MM\0\x2b"),
        ("BMP", rb"BM"),
        ("JPEG2000", rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
        ("AVIF", rb"....ftypavi[fs]"),
        ("AVIF", rb"....ftyp(?:mif1|miaf|msf1)....(?:....){0,8}?avi[fs]"),
        ("HEIF", rb"....ftyp(?:" + _HEIF_BRANDS + rb")"),
        ("PPM", rb"P[1-6f][\s#]|P0CMYK|PyP|PyRGBA|PyCMYK"),
        ("PAM", rb"P7\n"),
        ("PFM in colour", rb"PF\s"),
        ("Canon raw (CR3)", rb"....ftypcrx "),
        ("QuickTime or MP4 video", rb"....ftyp|....(?:moov|mdat|wide)"),
        ("PDF", rb"[\s\xef\xbb\xbf]*%PDF-"),
        ("PostScript", rb"%!PS|\xc5\xd0\xd3\xc6"),
        ("SVG", rb"[\s\xef\xbb\xbf]*(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*)?(?:<!DOCTYPE svg[^>]*>\s*)?<svg[\s>]"),
        ("HTML", rb"(?i:[\s\xef\xbb\xbf]*(?:<!doctype html|<html|<head|<body))"),
        ("XML", rb"[\s\xef\xbb\xbf]*<\?xml"),
        ("Photoshop (PSD)", rb"8BPS"),
        ("GIMP (XCF)", rb"gimp xcf"),
        ("JPEG XL", rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"),
        ("JPEG XR", rb"II\xbc"),
        ("Windows icon", rb"\0\0[\x01\x02]\0[^\0]\0"),
        ("Apple icon", rb"icns"),
        ("Radiance HDR", rb"#\?RADIANCE|#\?RGBE"),
        ("OpenEXR", rb"\x76\x2f\x31\x01"),
        ("DirectDraw surface", rb"DDS "),
        ("QOI", rb"qoif"),
        ("BPG", rb"BPG\xfb"),
        ("FITS", rb"SIMPLE  ="),
        ("Windows metafile", rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF"),
        ("DICOM", rb".{128}DICM"),
        ("Fujifilm raw (RAF)", rb"FUJIFILMCCD-RAW"),
        ("AVI or WAV", rb"RIFF....(?:AVI |WAVE)"),
        ("Matroska or WebM video", rb"\x1aE\xdf\xa3"),
        ("ZIP archive", rb"PK\x03\x04"),
        ("gzip", rb"\x1f\x8b\x08"),
        ("NumPy array", rb"\x93NUMPY"),
        ("Git LFS pointer", rb"version https://git-lfs"),
    )
)
# Number of leading bytes that is enough for every signature above.
_HEAD = 1_024
# A decoder uses one thread; the pool runs as many decoders as there are cores.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
# Read every TIFF with libtiff: Pillow's own reader for uncompressed files mixes up planes of 16 bits.
TiffImagePlugin.READ_LIBTIFF = True
# Registers the other formats in _READ. All of Pillow's plugins would take a twentieth of a second to import.
Image.preinit()
_ = Jpeg2KImagePlugin, WebPImagePlugin  # they register themselves


def sniff(data: bytes) -> str | None:
    """Returns the name of the format that `data` starts like, or None if it is unknown."""
    head = data[:_HEAD]
    return next((name for name, signature in _SIGNATURES if signature.match(head)), None)


def is_read(name: str) -> bool:
    """Returns whether pictures of this format can be decoded."""
    if name == "HEIF" and name not in Image.OPEN:
        _register_heif()
    return name in _READ and name in Image.OPEN


def _register_heif() -> None:
    try:
        import pillow_heif
    except ImportError:  # the extra `heif` is not installed
        return
    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.register_heif_opener(thumbnails=False)
