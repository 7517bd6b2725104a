package main

import (
	"strings"
	"testing"
)

// sample is a request with these strings, by their pointers.
type sample map[string]string

func (s sample) has(pointer string) bool {
	for path := range s {
		if path == pointer || strings.HasPrefix(path, pointer+"/") {
			return true
		}
	}
	return false
}

func (s sample) stringAt(pointer string) (string, bool) {
	value, ok := s[pointer]
	return value, ok
}

func TestDetect(t *testing.T) {
	for _, test := range []struct {
		about string
		given sample
		want  outcome
		err   string
	}{
		{
			about: "a release announces its tag",
			given: sample{pointer + "/event": "released", pointer + "/tag": "v1.2.3", pointer + "/repository": "plant/line"},
			want:  outcome{verdict: found, gitRef: "v1.2.3", repository: "plant/line"},
		},
		{
			about: "other events are ignored",
			given: sample{pointer + "/event": "started"},
			want:  outcome{verdict: ignored, reason: "event started"},
		},
		{
			about: "a release without a tag is malformed",
			given: sample{pointer + "/event": "released"},
			err:   pointer + "/tag is missing",
		},
		{
			about: "other formats are left alone",
			given: sample{"/event": "released"},
			want:  outcome{verdict: notMine},
		},
	} {
		got, err := detect(test.given)
		if err != nil && err.Error() != test.err || err == nil && test.err != "" {
			t.Errorf("%s: error %v, want %q", test.about, err, test.err)
		}
		if got != test.want {
			t.Errorf("%s: %+v, want %+v", test.about, got, test.want)
		}
	}
}
