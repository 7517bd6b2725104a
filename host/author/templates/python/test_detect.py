import unittest

from detect import Found, Ignored, Malformed, NotMine, detect


class Sample:
    """A request whose body is this JSON. The names in it have no ~ or /, so a pointer is a plain path."""

    def __init__(self, body):
        self._body = body

    def _at(self, pointer):
        value = self._body
        for name in pointer.split("/")[1:]:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def kind_at(self, pointer):
        value = self._at(pointer)
        return None if value is None else type(value)

    def string_at(self, pointer):
        value = self._at(pointer)
        return value if isinstance(value, str) else None


class Detect(unittest.TestCase):
    def test_a_release_announces_its_tag(self):
        release = {"event": "released", "tag": "v1.2.3", "repository": "plant/line"}
        expected = Found(git_ref="v1.2.3", commit=None, repositories=["plant/line"])
        self.assertEqual(detect(Sample({"{{ident}}": release})), expected)

    def test_other_events_are_ignored(self):
        self.assertEqual(detect(Sample({"{{ident}}": {"event": "started"}})), Ignored("event started"))

    def test_a_release_without_a_tag_is_malformed(self):
        with self.assertRaises(Malformed) as raised:
            detect(Sample({"{{ident}}": {"event": "released"}}))
        self.assertEqual(str(raised.exception), "/{{ident}}/tag is missing")

    def test_other_formats_are_left_alone(self):
        self.assertEqual(detect(Sample({"event": "released"})), NotMine())


if __name__ == "__main__":
    unittest.main()
