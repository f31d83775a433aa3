package interp_test

import (
	"testing"

	"github.com/bpfct/bpfct/vm/enginetest"
	"github.com/bpfct/bpfct/vm/interp"
)

func TestEngine(t *testing.T) { enginetest.Run(t, interp.Engine{}) }

func BenchmarkInsn(b *testing.B) { enginetest.BenchmarkInsn(b, interp.Engine{}) }

func BenchmarkRun(b *testing.B) { enginetest.BenchmarkRun(b, interp.Engine{}) }

func BenchmarkCallback(b *testing.B) { enginetest.BenchmarkCallback(b, interp.Engine{}) }
