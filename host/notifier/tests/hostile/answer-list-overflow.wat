;; Answers with a list whose size in bytes begins at zero again.
;; expect: bad return: the plugin `hostile` handed over what can't be read: list pointer/length out of bounds of memory

(data (i32.const 288) "\00\02\00\00\ab\aa\aa\0a")
