;; Says that its name is a path.
;; expect: bad component: the plugin `hostile` can't be loaded: it says that its name is `../evil`; a name is lower-case letters, digits and `-`, at most 40
;; call: describe

(data (i32.const 16) "../evil")
