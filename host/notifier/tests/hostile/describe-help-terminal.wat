;; Has a help text that would clear the screen and put words into a table's next line.
;; expect: described: `hostile` `hostile`, `hostile`; key: ` [2J fake: yes ` (1)
;; call: describe

(data (i32.const 88) "\00\02\00\00\01\00\00\00")
(data (i32.const 400) "key\1b[2J\0afake: yes\e2\80\ae")
(data (i32.const 512) "\90\01\00\00\03\00\00\00\93\01\00\00\11\00\00\00")
