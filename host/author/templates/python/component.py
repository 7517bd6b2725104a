"""Hands detect.py to the interface in wit/detect.wit. The modules that start with wit_ are made in the build."""

import detect as plugin
from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.detector import Descriptor, Detection, Outcome_Found, Outcome_Ignored, Outcome_NotMine


class Detector(exports.Detector):
    def describe(self):
        return Descriptor(
            name=plugin.NAME,
            version=plugin.VERSION,
            summary=plugin.SUMMARY,
            headers=[],
            pointers=[plugin.POINTER],
            attributes=[],
        )

    def detect(self, req):
        try:
            said = plugin.detect(req)
        except plugin.Malformed as malformed:
            raise Err(str(malformed))
        if isinstance(said, plugin.NotMine):
            return Outcome_NotMine()
        if isinstance(said, plugin.Ignored):
            return Outcome_Ignored(said.reason)
        detection = Detection(
            git_ref=said.git_ref,
            commit=said.commit,
            repositories=said.repositories,
            occurred_at=None,
            delivery_id=None,
            attributes=[],
        )
        return Outcome_Found([detection])
