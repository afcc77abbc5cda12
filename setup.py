"Packaging: the metadata from settings.ini, the version from the package."
import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

root = Path(__file__).parent
config = ConfigParser()
config.read(root/"settings.ini", encoding="utf-8")
settings = config["DEFAULT"]


def lines(name):
    return settings[name].strip().splitlines()


init = (root/"llama_nbchat"/"__init__.py").read_text(encoding="utf-8")
pythons = [f"Programming Language :: Python :: {version}" for version in settings["python_versions"].split()]

setup(
    version=re.search(r'^__version__ = "(.+)"', init, re.MULTILINE).group(1),
    description=settings["description"],
    long_description=(root/"README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author=settings["author"],
    license=settings["license"],
    keywords=settings["keywords"].split(),
    classifiers=lines("classifiers") + pythons,
    python_requires=f">={settings['min_python']}",
    install_requires=lines("requirements"),
    extras_require={extra: lines(f"{extra}_requirements") for extra in ("smollm2", "tools", "server", "hf", "dev", "train")},
    packages=find_packages(include=["llama_nbchat*"]),
    package_data={"llama_nbchat": ["py.typed", "*.pyi"], "llama_nbchat.local": ["*.pyi"], "llama_nbchat.demo": ["*.gguf"]},
    entry_points={"nbdev": ["llama_nbchat=llama_nbchat._modidx:d"]},
    zip_safe=False,
)
