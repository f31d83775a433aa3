package link

import (
	"debug/elf"
	"reflect"

	"github.com/cilium/ebpf/asm"
)

// The reader of cilium/ebpf notes on an instruction whether an external symbol
// is weak and where in .kconfig a variable lies, under keys that it does not
// export. symbolMeta reads these notes by reflection, without unsafe; a test
// watches that a new version of the library still writes them.

// symbolMeta is what the ELF reader knows of an instruction's external symbol.
type symbolMeta struct {
	kfunc, ksym, kconfig bool
	weak                 bool
	offset               uint32 // in .kconfig
}

func readSymbolMeta(ins *asm.Instruction) symbolMeta {
	var m symbolMeta
	head := reflect.ValueOf(ins.Metadata).FieldByName("head")
	for head.IsValid() && head.Kind() == reflect.Pointer && !head.IsNil() {
		elem := head.Elem()
		key, value := elem.FieldByName("key"), elem.FieldByName("value")
		head = elem.FieldByName("next")
		if !key.IsValid() || !value.IsValid() || key.IsNil() || value.IsNil() {
			continue
		}
		value = value.Elem()
		if value.Kind() == reflect.Pointer {
			value = value.Elem()
		}
		switch key.Elem().Type().Name() {
		case "kfuncMetaKey":
			m.kfunc = true
		case "ksymMetaKey":
			m.ksym = true
		case "kconfigMetaKey":
			m.kconfig = true
			if f := value.FieldByName("Offset"); f.IsValid() {
				m.offset = uint32(f.Uint())
			}
			continue
		default:
			continue
		}
		if f := value.FieldByName("Binding"); f.IsValid() {
			m.weak = elf.SymBind(f.Int()) == elf.STB_WEAK
		}
	}
	return m
}
