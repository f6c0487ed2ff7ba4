package kre

import (
	"encoding/base64"
	"sort"
	"strings"
)

// Metadata is what the client sent as gRPC metadata or HTTP headers, of the names that krt.yml lists.
//
// Names are in lower case; a lookup takes any case. The values of names that end in `-bin` are bytes, which only
// Binary returns.
type Metadata struct {
	values map[string][]string
}

// Get returns the text that came under a name, or "" without one. Several texts are one, with a comma and a space
// between them, as in HTTP.
func (m Metadata) Get(name string) string {
	return strings.Join(m.Values(name), ", ")
}

// Values returns the texts that came under a name, in their order.
func (m Metadata) Values(name string) []string {
	name = strings.ToLower(name)
	if isBinary(name) {
		return nil
	}
	return m.values[name]
}

// Binary returns the values that came under a name that ends in `-bin`, in their order.
func (m Metadata) Binary(name string) [][]byte {
	name = strings.ToLower(name)
	if !isBinary(name) {
		return nil
	}
	var values [][]byte
	for _, value := range m.values[name] {
		// The engine sends nothing else than base64.
		if bytes, err := base64.StdEncoding.DecodeString(value); err == nil {
			values = append(values, bytes)
		}
	}
	return values
}

// Names returns the names that have values, sorted.
func (m Metadata) Names() []string {
	names := make([]string, 0, len(m.values))
	for name := range m.values {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func isBinary(name string) bool {
	return strings.HasSuffix(name, "-bin")
}
