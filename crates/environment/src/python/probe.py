"""Tells what an interpreter is. Runs in any Python, however old."""
import sys

# The folder is a package's, and modules in it are not for this process.
if sys.path and sys.path[0] == "":
    del sys.path[0]

import json
import os
import sysconfig

try:
    import google.protobuf

    protobuf = google.protobuf.__version__
except Exception:
    protobuf = None

base = getattr(sys, "base_prefix", sys.prefix)
conda = os.path.isdir(os.path.join(sys.prefix, "conda-meta"))
site = sys.modules.get("site")
watched = [path for path in sys.path if os.path.isabs(path)]
if getattr(site, "ENABLE_USER_SITE", False):
    watched.append(site.getusersitepackages())
watched.append(sys.executable)

print("")
print(
    json.dumps(
        {
            "python": sys.executable,
            "base": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
            "version": "%d.%d.%d" % sys.version_info[:3],
            "implementation": getattr(getattr(sys, "implementation", None), "name", "python"),
            "platform": sysconfig.get_platform(),
            "protobuf": protobuf,
            "is_environment": sys.prefix != base or conda,
            "watched": sorted(set(watched)),
        }
    )
)
