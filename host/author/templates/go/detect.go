// Package main detects the git ref that a webhook of {{name}} announces.
//
// This file does not depend on WebAssembly, so go test runs it natively; component_wasm.go connects it to the interface
// in wit/detect.wit.
package main

import "errors"

const (
	name    = "{{name}}"
	version = "0.1.0"
	summary = "Releases of {{name}}"
	// A delivery without a value at this JSON pointer is not offered to the plugin.
	pointer = "/{{ident}}"
)

// request has the functions of a request that the detection uses. The interface has more: add them here to use them.
type request interface {
	// has reports whether there is a value at a JSON pointer.
	has(pointer string) bool
	// stringAt returns the string at a JSON pointer, if there is one.
	stringAt(pointer string) (string, bool)
}

type verdict int

const (
	// notMine: the request is of another format; the next plugin is called.
	notMine verdict = iota
	// ignored: the request is of this format and calls for no action.
	ignored
	// found: the request announces a ref.
	found
)

// outcome is the answer of the plugin.
type outcome struct {
	verdict verdict
	// reason says why the request is ignored.
	reason string
	// gitRef, commit and repository are what was found. All but gitRef may be empty.
	gitRef, commit, repository string
}

// detect detects the ref of a request. An error means that the request is of this format and malformed; its text is for
// the sender.
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
