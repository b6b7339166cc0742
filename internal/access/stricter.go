package access

import (
	"slices"
	"strings"

	"github.com/tidemark-backup/tidemark/internal/catalog"
)

// Stricter reports whether after could ask more than before of someone whom both are about: it can match a
// sign-in that before does not, or asks for something that before does not. Names, states and scopes of
// people are left aside. It compares each condition by itself, which is exact because a policy matches only
// where every condition does, and takes what it does not evaluate for stricter where it differs.
func Stricter(before, after catalog.AccessPolicy) bool {
	if idle(after) {
		return false
	}
	if idle(before) || demanding(before, after) {
		return true
	}
	if (after.AppRule != before.AppRule) || (after.DeviceRule != before.DeviceRule) ||
		after.DeviceMode != before.DeviceMode || after.WorkRule != before.WorkRule {
		return true
	}
	for _, list := range [][2][]string{{before.Actions, after.Actions}, {before.Contexts, after.Contexts}} {
		for _, a := range list[1] {
			if !fold(list[0], a) {
				return true
			}
		}
	}
	for _, list := range [][2][]string{
		{before.UserRisk, after.UserRisk}, {before.SignInRisk, after.SignInRisk}, {before.WorkRisk, after.WorkRisk},
		{before.InsiderRisk, after.InsiderRisk}, {before.Flows, after.Flows},
	} {
		if opens(list[0], list[1], "") { // no list is no condition, so it matches everything
			return true
		}
	}
	return opens(before.Clients, after.Clients, "all") ||
		widens(before.Platforms, after.Platforms, "all", true) ||
		widens(before.Locations, after.Locations, "All", true) ||
		widens(before.Apps, after.Apps, "All", false)
}

// demanding reports whether after asks for something that before does not.
func demanding(before, after catalog.AccessPolicy) bool {
	if before.Blocks() {
		return false
	}
	if after.Blocks() || after.Session && !before.Session {
		return true
	}
	was, is := Demands(before), Demands(after)
	for _, d := range is {
		// Meeting any one of several suffices where all of the earlier ones are among them.
		met := slices.ContainsFunc(was, func(w string) bool {
			for one := range strings.SplitSeq(w, " or ") {
				if !slices.Contains(strings.Split(d, " or "), one) {
					return false
				}
			}
			return true
		})
		if !met {
			return true
		}
	}
	return false
}

// opens reports whether a condition matches more than it did. No list, or the word all in it, matches
// everything.
func opens(before, after []string, all string) bool {
	whole := func(list []string) bool { return len(list) == 0 || all != "" && fold(list, all) }
	if whole(before) {
		return false
	}
	return whole(after) || slices.ContainsFunc(after, func(s string) bool { return !fold(before, s) })
}

// widens reports whether a filter picks a value that it did not: one of those either names, or one that
// neither does. empty says what no inclusion means.
func widens(before, after catalog.Filter, all string, empty bool) bool {
	values := slices.Concat(before.Include, before.Exclude, after.Include, after.Exclude, []string{""})
	picks := func(f catalog.Filter, value string) bool {
		in := len(f.Include) == 0 && empty || fold(f.Include, all) || value != "" && fold(f.Include, value)
		return in && !fold(f.Exclude, all) && (value == "" || !fold(f.Exclude, value))
	}
	for _, value := range values {
		if strings.EqualFold(value, all) || strings.EqualFold(value, "None") {
			continue
		}
		if picks(after, value) && !picks(before, value) {
			return true
		}
	}
	// A word for several values overlaps with single ones: where it is left out no more, any of them may be
	// picked; where it is included, those left out before must still be.
	if slices.ContainsFunc(before.Exclude, func(s string) bool { return several(s) && !fold(after.Exclude, s) }) {
		return true
	}
	for _, word := range after.Include {
		if several(word) && slices.ContainsFunc(before.Exclude, func(s string) bool { return !fold(after.Exclude, s) }) {
			return true
		}
	}
	return false
}

func several(s string) bool {
	return strings.EqualFold(s, "AllTrusted") || strings.EqualFold(s, "Office365") || strings.EqualFold(s, "MicrosoftAdminPortals")
}
