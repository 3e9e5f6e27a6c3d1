package main

import (
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Contracts are normalised before they are compared: what is not on the wire must not count
// as a change.

// member returns the value of a mapping's key, nil if there is none.
func member(n *yaml.Node, name string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

// mappings calls visit for every mapping of a tree.
func mappings(n *yaml.Node, visit func(*yaml.Node)) {
	if n.Kind == yaml.MappingNode {
		visit(n)
	}
	for _, child := range n.Content {
		mappings(child, visit)
	}
}

// renameSchemes renames every security scheme after what a client sends. Only generators
// see the contract's name of it.
func renameSchemes(doc *yaml.Node) {
	if len(doc.Content) == 0 {
		return
	}
	schemes := member(member(doc.Content[0], "components"), "securitySchemes")
	if schemes == nil {
		return
	}
	names := map[string]string{}
	for i := 0; i+1 < len(schemes.Content); i += 2 {
		var sent []string
		for _, key := range []string{"type", "in", "name", "scheme"} {
			if value := member(schemes.Content[i+1], key); value != nil {
				sent = append(sent, value.Value)
			}
		}
		names[schemes.Content[i].Value] = strings.Join(sent, "-")
		schemes.Content[i].Value = names[schemes.Content[i].Value]
	}
	mappings(doc, func(n *yaml.Node) {
		security := member(n, "security")
		if security == nil || security.Kind != yaml.SequenceNode {
			return
		}
		for _, alternative := range security.Content {
			for i := 0; i+1 < len(alternative.Content); i += 2 {
				if name := names[alternative.Content[i].Value]; name != "" {
					alternative.Content[i].Value = name
				}
			}
		}
	})
}

// stripDeprecation removes all deprecations from the contract.
func stripDeprecation(doc *yaml.Node) {
	mappings(doc, func(n *yaml.Node) {
		var kept []*yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, value := n.Content[i].Value, n.Content[i+1]
			if name == "x-sunset" || name == "x-deprecated-at" || name == "deprecated" && value.Kind == yaml.ScalarNode {
				continue
			}
			kept = append(kept, n.Content[i], value)
		}
		n.Content = kept
	})
}

// writeNode writes a tree as YAML and returns the file's path.
func writeNode(doc *yaml.Node, path string) (string, error) {
	data, err := yaml.Marshal(doc)
	if err != nil {
		return "", err
	}
	return path, os.WriteFile(path, data, 0o600)
}
