package live

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// Variable reads a global variable in raw bytes. It also works for those in
// sections that the kernel does not let be mapped, and for constants.
func (c *Collection) Variable(name string) ([]byte, error) {
	v, size, section, err := c.section(name)
	if err != nil {
		return nil, err
	}
	return section[v.Offset:][:size], nil
}

// SetVariable writes a global variable in raw bytes. It must not be in use by
// a running program: the whole section is written.
func (c *Collection) SetVariable(name string, value []byte) error {
	v, size, section, err := c.section(name)
	if err != nil {
		return err
	}
	if len(value) != size {
		return fmt.Errorf("variable %s: has %d bytes, got %d", name, size, len(value))
	}
	copy(section[v.Offset:], value)
	if err := c.Maps[v.SectionName].Update(uint32(0), section, ebpf.UpdateExist); err != nil {
		return fmt.Errorf("variable %s: %w", name, err)
	}
	return nil
}

// section finds a variable, its size and the contents of its section.
func (c *Collection) section(name string) (*ebpf.VariableSpec, int, []byte, error) {
	v := c.spec[name]
	if v == nil {
		return nil, 0, nil, fmt.Errorf("variable %s is not in the collection", name)
	}
	m := c.Maps[v.SectionName]
	if m == nil {
		return nil, 0, nil, fmt.Errorf("variable %s: map %s is not in the collection", name, v.SectionName)
	}
	data, err := m.LookupBytes(uint32(0))
	if err != nil {
		return nil, 0, nil, fmt.Errorf("variable %s: %w", name, err)
	}
	if int(v.Offset)+len(v.Value) > len(data) {
		return nil, 0, nil, fmt.Errorf("variable %s is outside of section %s", name, v.SectionName)
	}
	return v, len(v.Value), data, nil
}
