package frame

import "encoding/json"

// Introduction holds the fields of HELLO that a worker needs: the node to run, and its limits.
type Introduction struct {
	Protocol    int    `json:"protocol"`
	Node        string `json:"node"`
	Version     string `json:"version"`
	VersionID   string `json:"version_id"`
	BasePath    string `json:"base_path"`
	Concurrency int    `json:"concurrency"`
	MaxFrame    uint32 `json:"max_frame"`
	MaxMessage  int    `json:"max_message"`
	LogLevel    string `json:"log_level"`
	// Payload is the form of handlers' data: Protobuf or JSON.
	Payload string `json:"payload"`
	// Batch is nil for a node whose handler gets one message at a time.
	Batch *Batch `json:"batch"`
	// Stream is nil for a node whose answers are never streams.
	Stream *Window `json:"stream"`
}

// Window is how much of a stream may wait for its client.
type Window struct {
	Messages int64 `json:"messages"`
	Bytes    int64 `json:"bytes"`
}

// Batch describes the batches of a node.
type Batch struct {
	// Max is the maximum number of deliveries.
	Max int `json:"max"`
}

// The forms of handlers' data: messages and plain data.
const (
	Protobuf = "protobuf"
	JSON     = "json"
)

// ParseHello parses the body of HELLO; it ignores unknown fields.
func ParseHello(body []byte) (Introduction, error) {
	var present map[string]json.RawMessage
	if err := json.Unmarshal(body, &present); err != nil {
		return Introduction{}, Violationf("HELLO does not parse: %v", err)
	}
	for _, name := range []string{
		"protocol", "node", "version", "version_id", "base_path", "concurrency", "max_frame",
		"max_message", "log_level",
	} {
		if _, there := present[name]; !there {
			return Introduction{}, Violationf("HELLO has no field '%s'", name)
		}
	}
	hello := Introduction{Payload: Protobuf}
	if err := json.Unmarshal(body, &hello); err != nil {
		return Introduction{}, Violationf("HELLO does not parse: %v", err)
	}
	return hello, nil
}
