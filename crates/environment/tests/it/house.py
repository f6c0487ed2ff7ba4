"""Writes small wheels into a folder."""
import base64
import hashlib
import os
import sys
import zipfile


def wheel(folder, name, version, files):
    info = "%s-%s.dist-info" % (name, version)
    files = dict(files)
    files[info + "/METADATA"] = "Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (name, version)
    files[info + "/WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record.append("%s,sha256=%s,%d" % (path, digest, len(text.encode())))
    files[info + "/RECORD"] = "\n".join(record + [info + "/RECORD,,"]) + "\n"
    path = os.path.join(folder, "%s-%s-py3-none-any.whl" % (name, version))
    with zipfile.ZipFile("%s.%d" % (path, os.getpid()), "w") as archive:
        for member, text in files.items():
            archive.writestr(zipfile.ZipInfo(member, (2020, 1, 1, 0, 0, 0)), text)
    os.replace(archive.filename, path)


for version in ["3.19.0", "6.33.0"]:
    wheel(
        sys.argv[1],
        "protobuf",
        version,
        {"google/__init__.py": "", "google/protobuf/__init__.py": "__version__ = %r\n" % version},
    )
for version in ["1.0", "2.0"]:
    wheel(sys.argv[1], "alpha", version, {"alpha.py": "version = %r\n" % version})
