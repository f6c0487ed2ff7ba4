"""Writes small wheels into a folder."""
import base64
import hashlib
import os
import sys
import sysconfig
import zipfile

PLATFORM = sysconfig.get_platform().replace("-", "_").replace(".", "_")


def wheel(folder, name, version, files, requires="", tag="py3-none-any"):
    info = "%s-%s.dist-info" % (name, version)
    files = dict(files)
    files[info + "/METADATA"] = "Metadata-Version: 2.1\nName: %s\nVersion: %s\n%s" % (name, version, requires)
    files[info + "/WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: %s\n" % tag
    record = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record.append("%s,sha256=%s,%d" % (path, digest, len(text.encode())))
    files[info + "/RECORD"] = "\n".join(record + [info + "/RECORD,,"]) + "\n"
    path = os.path.join(folder, "%s-%s-%s.whl" % (name, version, tag))
    with zipfile.ZipFile("%s.%d" % (path, os.getpid()), "w") as archive:
        for member, text in files.items():
            archive.writestr(zipfile.ZipInfo(member, (2020, 1, 1, 0, 0, 0)), text)
    os.replace(archive.filename, path)


for version in ["3.5.0", "3.19.0", "4.25.8", "6.33.0"]:
    wheel(
        sys.argv[1],
        "protobuf",
        version,
        {"google/__init__.py": "", "google/protobuf/__init__.py": "__version__ = %r\n" % version},
    )
wheel(sys.argv[1], "beta", "1.0", {"beta.py": ""}, "Requires-Dist: protobuf>=6\n")
for name, module in [("numpy", "numpy"), ("scikit-learn", "sklearn"), ("pandas", "pandas")]:
    for version in ["1.0", "2.0"]:
        needs = "Requires-Dist: numpy\n" if name == "pandas" else ""
        wheel(sys.argv[1], name.replace("-", "_"), version, {module + "/__init__.py": "version = %r\n" % version}, needs)
wheel(sys.argv[1], "gamma", "1.0", {"gamma.py": ""}, tag="cp39-cp39-%s" % PLATFORM)
wheel(sys.argv[1], "gamma", "1.0", {"gamma.py": ""}, tag="cp310-cp310-%s" % PLATFORM)
for version in ["1.0", "2.0"]:
    wheel(sys.argv[1], "alpha", version, {"alpha.py": "version = %r\n" % version})
