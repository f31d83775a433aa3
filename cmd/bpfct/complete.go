package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/bpfct/bpfct"
	"github.com/bpfct/bpfct/kernel"
)

// completeFlags teaches the shell what --program and --profile may be.
func completeFlags(cmd *cobra.Command) {
	// Registering fails only for a flag that the command does not have.
	_ = cmd.RegisterFlagCompletionFunc("program", completeProgram)
	_ = cmd.RegisterFlagCompletionFunc("profile", completeProfile)
}

// completeProgram lists the programs of the object that stands on the line already.
func completeProgram(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	spec, err := bpfct.LoadCollectionSpec(args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for name, p := range spec.Programs {
		names = append(names, name+"\t"+p.SectionName)
	}
	slices.Sort(names)
	return names, cobra.ShellCompDirectiveNoFileComp
}

func completeProfile(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, p := range kernel.Profiles() {
		names = append(names, p.Name+"\t"+p.Title)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
