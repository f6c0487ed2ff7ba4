package worker

import (
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"
)

// ours is the prefix of this SDK's function names.
var ours = strings.TrimSuffix(reflect.TypeOf(Worker{}).PkgPath(), "/internal/worker") + "/"

// describe formats a panic with its stack, for the function that recovers. A nil value means that user code
// ended its goroutine.
func describe(value any) string {
	if value == nil {
		return errGoexit.Error()
	}
	return fmt.Sprintf("panic: %v\n%s", value, userFrames(string(debug.Stack())))
}

// userFrames cuts a stack to user code: the frames between the panic and this SDK.
func userFrames(stack string) string {
	_, stack, _ = strings.Cut(stack, "\npanic(")
	_, stack, _ = strings.Cut(stack, "\n") // its arguments
	_, stack, _ = strings.Cut(stack, "\n") // its position
	lines := strings.SplitAfter(stack, "\n")
	for index := 0; index+1 < len(lines); index += 2 {
		if strings.HasPrefix(lines[index], ours) {
			lines = lines[:index]
		}
	}
	return strings.TrimRight(strings.Join(lines, ""), "\n")
}
