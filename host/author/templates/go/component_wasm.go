package main

import "unsafe"

// The component model passes numbers as parameters, and everything else in memory, as words of 32 bits. The functions
// below are those of wit/detect.wit that this plugin uses. Pointers of Go for WebAssembly are wider than a word, so no Go
// structure is passed as it is.

//go:wasmimport stoker:detect/payload@0.1.0 [method]request.string-at
func requestStringAt(handle int32, pointer string, result unsafe.Pointer)

//go:wasmimport stoker:detect/payload@0.1.0 [method]request.kind-at
func requestKindAt(handle int32, pointer string, result unsafe.Pointer)

//go:wasmimport stoker:detect/payload@0.1.0 [resource-drop]request
func requestDrop(handle int32)

// word is an address, a length, or the number of a case.
type word = uint32

// handed holds everything that the host writes to or reads from, so that it is not collected. An instance serves one call,
// so nothing is removed from it.
var handed []any

//go:wasmexport cabi_realloc
func cabiRealloc(old unsafe.Pointer, oldSize, align, size word) unsafe.Pointer {
	// Words of 64 bits are aligned for every type of the interface.
	memory := make([]uint64, size/8+1)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&memory[0])), size), unsafe.Slice((*byte)(old), oldSize))
	handed = append(handed, memory)
	return unsafe.Pointer(&memory[0])
}

// hostRequest is the handle of a request.
type hostRequest int32

func (r hostRequest) has(pointer string) bool {
	var result [2]byte
	requestKindAt(int32(r), pointer, unsafe.Pointer(&result))
	return result[0] != 0
}

func (r hostRequest) stringAt(pointer string) (string, bool) {
	// The first byte says whether there is a string; the other words are its address and length.
	var result struct {
		is      word
		address word
		length  word
	}
	requestStringAt(int32(r), pointer, unsafe.Pointer(&result))
	if result.is&0xff == 0 {
		return "", false
	}
	// A pointer of Go is a word of 64 bits here.
	at := uint64(result.address)
	return unsafe.String(*(**byte)(unsafe.Pointer(&at)), result.length), true
}

// message is a value for the host, word by word.
type message []word

func (m message) text(s string) message {
	if s == "" {
		return append(m, 0, 0)
	}
	bytes := unsafe.StringData(s)
	handed = append(handed, bytes)
	return append(m, address(unsafe.Pointer(bytes)), word(len(s)))
}

// optional writes a text, or its absence if it is empty.
func (m message) optional(s string) message {
	if s == "" {
		return append(m, 0, 0, 0)
	}
	return append(m, 1).text(s)
}

// texts writes a list of the texts that are not empty.
func (m message) texts(all ...string) message {
	var list message
	for _, s := range all {
		if s != "" {
			list = list.text(s)
		}
	}
	return m.list(list, len(list)/2)
}

func (m message) list(elements message, length int) message {
	if length == 0 {
		return append(m, 0, 0)
	}
	return append(m, address(elements.pass()), word(length))
}

// pass keeps the message in memory and returns its address.
func (m message) pass() unsafe.Pointer {
	handed = append(handed, m)
	return unsafe.Pointer(&m[0])
}

func address(p unsafe.Pointer) word {
	return word(uintptr(p))
}

//go:wasmexport stoker:detect/detector@0.1.0#describe
func exportDescribe() unsafe.Pointer {
	return message{}.
		text(name).
		text(version).
		text(summary).
		texts(). // headers
		texts(pointer).
		texts(). // attributes
		pass()
}

//go:wasmexport stoker:detect/detector@0.1.0#detect
func exportDetect(handle int32) unsafe.Pointer {
	// The host refuses an answer while the guest holds the request.
	defer requestDrop(handle)
	result, err := detect(hostRequest(handle))
	if err != nil {
		return append(message{1}.text(err.Error()), 0).pass()
	}
	answer := message{0, word(result.verdict)}
	switch result.verdict {
	case ignored:
		answer = answer.text(result.reason)
	case found:
		detection := message{}.
			text(result.gitRef).
			optional(result.commit).
			texts(result.repository).
			optional(""). // occurred-at
			optional(""). // delivery-id
			// What happened, if an object selects by it: list(message{}.text("event").text("released"), 1).
			texts() // attributes
		answer = answer.list(detection, 1)
	default:
		answer = append(answer, 0, 0)
	}
	return answer.pass()
}
