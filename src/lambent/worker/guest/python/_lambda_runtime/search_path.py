"""Makes an interpreter started with -S look as AWS's does: `sys.path`, the builtins of `site`, .pth files.

-S saves about 3 ms per start (measured on Python 3.8 to 3.13): `site` looks for virtual environments and user
directories that do not exist here. What of its work user code can see is done below.
"""

import os
import sys


def prepare(task_root, runtime_dir, layers_dir="/opt"):
    """Set `sys.path` in AWS's order and run what `site` would have run."""
    version = "python%d.%d" % sys.version_info[:2]
    site_packages = "%s/lib/%s/site-packages" % (sys.prefix, version)
    layers = ["%s/python/lib/%s/site-packages" % (layers_dir, version), "%s/python" % layers_dir]
    given = os.environ.get("PYTHONPATH")
    own_path = bool(given) and given != runtime_dir  # a PYTHONPATH of the function replaces the layers' directories
    inherited = _without(sys.path, {runtime_dir, site_packages})
    import site

    if sys.flags.no_site:
        _add_builtins(site)
    runtime_first = sys.version_info < (3, 11)  # AWS moved the SDK from /var/runtime to site-packages in 3.11
    head = [task_root] if own_path else [task_root] + layers
    if runtime_first:
        sys.path[:] = head + [runtime_dir] + inherited + [site_packages]
    else:
        sys.path[:] = head + [site_packages, runtime_dir] + inherited
    directories = [task_root] if own_path else [task_root] + layers
    for directory in [site_packages] + directories:
        _run_pth_files(site, directory)
    if sys.flags.no_site:
        _run_sitecustomize()


def _without(paths, unwanted):
    return [path for path in paths if path not in unwanted]


def _add_builtins(site):
    """exit, quit, copyright, credits, license, help; `abs_paths` matters only to odd embedders."""
    site.setquit()
    site.setcopyright()
    site.sethelper()
    site.ENABLE_USER_SITE = False


def _run_pth_files(site, directory):
    try:
        names = os.listdir(directory)
    except OSError:
        return  # layers and SDK are optional
    for name in sorted(names):
        if name.endswith(".pth") and not name.startswith("."):
            site.addpackage(directory, name, None)


def _run_sitecustomize():
    """What `site` does last; layers of monitoring tools hook in here."""
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
