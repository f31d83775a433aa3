package interp_test

import (
	"testing"

	"github.com/bpfct/bpfct/vm/enginetest"
	"github.com/bpfct/bpfct/vm/interp"
)

func TestEngineAsKernel(t *testing.T) { enginetest.RunAsKernel(t, interp.Engine{}) }

func BenchmarkInsnToKernel(b *testing.B) { enginetest.BenchmarkInsnToKernel(b, interp.Engine{}) }
