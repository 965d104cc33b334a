;; Says that it has no name.
;; expect: bad component: the plugin `hostile` can't be loaded: it says that its name is ``; a name is lower-case letters, digits and `-`, at most 40
;; call: describe

(data (i32.const 64) "\00\00\00\00\00\00\00\00")
