// Package main tells Stoker which git ref a webhook of {{name}} announces.
//
// This file knows nothing of WebAssembly, so go test runs it as it is; component.go hands it to the interface in
// wit/detect.wit.
package main

import "errors"

const (
	name    = "{{name}}"
	version = "0.1.0"
	summary = "Releases of {{name}}"
	// The plugin is asked where there is a value at this JSON pointer.
	pointer = "/{{ident}}"
)

// request is what the detection needs to know of a request. The interface offers more: add it here when you use it.
type request interface {
	// has says whether there is a value at a JSON pointer.
	has(pointer string) bool
	// stringAt gives the string at a JSON pointer, if there is one.
	stringAt(pointer string) (string, bool)
}

type verdict int

const (
	// notMine is another format: the next plugin is asked.
	notMine verdict = iota
	// ignored is this format, and nothing to do.
	ignored
	// found is a ref.
	found
)

// outcome is what a request is to this plugin.
type outcome struct {
	verdict verdict
	// reason says why it is ignored.
	reason string
	// gitRef, commit and repository are what was found. Only the first must not be empty.
	gitRef, commit, repository string
}

// detect looks at one request. The error is for one of this format that is malformed, in words for the sender.
func detect(r request) (outcome, error) {
	if !r.has(pointer) {
		return outcome{verdict: notMine}, nil
	}
	event, err := required(r, pointer+"/event")
	if err != nil {
		return outcome{}, err
	}
	if event != "released" {
		return outcome{verdict: ignored, reason: "event " + event}, nil
	}
	tag, err := required(r, pointer+"/tag")
	if err != nil {
		return outcome{}, err
	}
	commit, _ := r.stringAt(pointer + "/commit")
	repository, _ := r.stringAt(pointer + "/repository")
	return outcome{verdict: found, gitRef: tag, commit: commit, repository: repository}, nil
}

func required(r request, pointer string) (string, error) {
	value, ok := r.stringAt(pointer)
	if !ok {
		return "", errors.New(pointer + " is missing")
	}
	return value, nil
}
