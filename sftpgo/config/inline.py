"""A configuration that a program writes itself, in place of a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from sftpgo.config.build import build
from sftpgo.config.entries import entries
from sftpgo.config.formats.content import Tree
from sftpgo.config.keys import KeyTable
from sftpgo.config.load import Loaded
from sftpgo.config.model import Config
from sftpgo.config.problems import Report
from sftpgo.errors import ConfigurationError


def configured(config_dir: str, **sections: Mapping[str, Any]) -> Loaded:
    """The configuration these sections make, each key by the name it has in a file.

    An unknown key is a fault here: no other server reads this.

    >>> configured("/srv/sftp", sftpd={"bind_port": 2022}, httpd={"bind_port": 0}).config.sftpd.bind_port
    2022

    @param config_dir: where relative paths start from, and where host keys are made.
    @raise ConfigurationError: with all that is wrong.
    """
    report = Report()
    table = KeyTable.of(Config)
    content = Tree({section: dict(keys) for section, keys in sections.items()})
    config = build(entries(content, "the program", table, report), table, report)
    if config is None or report.problems or report.warnings:
        raise ConfigurationError([*report.problems, *(text.replace(", ignored", "") for text in report.warnings)])
    return Loaded(config=config, path=None, warnings=(), config_dir=os.path.abspath(config_dir))
