#!/usr/bin/env python3
"""test_lint.py ROOT COMPILER: a lint that cannot fail is no lint. Each one is shown what it must refuse, and what not."""
import os
import shutil
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True

import banned
import format as formatted
import headers
import includes
import sources
import tidy

ROOT, COMPILER = sys.argv[1:3]

REFUSED_INCLUDES = [
    ("base/file.c", '#include "storage/storage.h"', "base may not include storage"),
    ("base/rng.c", '#include "base/model/model.h"', "base may not include base/model"),
    ("storage/open.c", '#include "search/search.h"', "storage may not include search"),
    ("search/run.c", '#include "supernet/network.h"', "search may not include supernet"),
    ("search/run.c", '#include "storage/storage.h"', "search may not include storage"),
    ("supernet/cost.c", '#include "supernet/kernels/kernels.h"', "supernet may not include supernet/kernels"),
    ("supernet/kernels/run.c", '#include "supernet/files/files.h"', "may not include supernet/files"),
    ("supernet/kernels/vector/conv.c", '#include "latency/latency.h"', "supernet/kernels may not include latency"),
    ("latency/fit.c", '#include "server/service.h"', "latency may not include server"),
    ("latency/fit.c", '#include "latency/agent/agent.h"', "latency may not include latency/agent"),
    ("latency/fit.c", '#include "storage/storage.h"', "latency may not include storage"),
    ("latency/agent/spool.c", '#include "supernet/files/files.h"', "latency/agent may not include supernet/files"),
    ("latency/agent/spool.c", '#include "search/space.h"', "latency/agent may not include search"),
    ("server/work.c", '#include "latency/agent/agent.h"', "server may not include latency/agent"),
    ("server/work.c", '#include "supernet/build.h"', "is private to supernet"),
    ("server/work.c", '#  include   "base/cpu.h"', "is private to base"),
    ("server/work.c", '#include "../base/base.h"', "climbs out"),
    ("search/run.c", "#include <cblas.h>", "alone"),
    ("base/arena.c", "#include <cblas.h>", "alone"),
    ("server/work.c", "#include <sqlite3.h>", "is for storage alone"),
    ("latency/agent/send.c", "#include <curl/curl.h>", "is for base/http_client.c alone"),
    ("latency/fit.c", "#include <microhttpd.h>", "is for server alone"),
    ("server/token.c", "#include <sodium.h>", "is for base alone"),
    ("supernet/kernels/run.c", "#include <png.h>", "is for supernet/train/data alone"),
    ("supernet/train/data/set.c", '#include "supernet/kernels/kernels.h"', "may not include supernet/kernels"),
    ("supernet/kernels/run.c", '#include "supernet/train/data/images.h"', "may not include supernet/train/data"),
    ("server/routes.c", "#include <jansson.h>", "files named codec_*"),
    ("server/routes.c", '#include "base/codec_json.h"', "files named codec_*"),
    ("server/routes.c", "void f(json_t *root);", "belongs in a file named codec_*"),
    ("server/routes.c", "int x = json_is_object(y);", "belongs in a file named codec_*"),
]

ALLOWED_INCLUDES = [
    ("server/work.c", '#include "storage/storage.h"\n#include "supernet/codec_network.h"\n#include "search/space.h"'),
    ("server/codec_search.c", '#include "base/codec_json.h"\njson_t *x = json_object();'),
    ("server/http.c", "#include <microhttpd.h>"),
    ("supernet/kernels/vector/conv.c", '#include "supernet/kernels/plan.h"\n#include "supernet/network.h"'),
    ("supernet/files/onnx.c", '#include "supernet/kernels/kernels.h"\n#include <cblas.h>\n#include <zlib.h>'),
    ("supernet/files/config.c", '#include "supernet/build.h"'),
    ("supernet/train/data/png.c", "#include <png.h>\n#include <zlib.h>"),
    ("supernet/train/step.c", '#include "supernet/train/data/images.h"'),
    ("latency/agent/main.c", '#include "base/http_client.h"\n#include "latency/codec_measurement.h"'),
    ("base/model/ridge.c", '#include "base/model/model.h"\n#include "base/base.h"\n#include <cblas.h>'),
    ("search/run.c", '/* #include "storage/storage.h" json_t */ const char *x = "json_t";'),
    ("server/work.c", "enum tl_rc rc = tl_json_int(x); bool no_json_text(void);"),
]

REFUSED_CALLS = [
    "strcpy(a, b);", "strcat (a, b);", "sprintf(a, b);", "vsprintf(a, b, c);", "gets(a);", "x = strtok(a, b);",
    "n = atoi(a);", "x = rand();", "p = alloca(9);", "rc = system(a);", "s = sqlite3_mprintf(x);",
    'tl_buf_addf(&sql, err, "SELECT x FROM t WHERE id = %d", id);',
    'snprintf(sql, n, "UPDATE t " "SET a = \'%s\'", name);',
    'tl_buf_addf(&sql, err, "DELETE FROM t WHERE id = %" PRId64, id);',
    'tl_buf_addf(&sql, err, "select a from t order by %s", column);',
    'tl_buf_addf(&sql, err, "PRAGMA user_version = %d", 3);',
]

ALLOWED_CALLS = [
    "snprintf(a, n, b);", "fgets(a, n, f);", "strtok_r(a, b, &c);", "my_system(a);", "space->random(a);", "/* strcpy(a) */",
    'char *x = "strcpy(a, b)";', 'x = "SELECT a FROM t WHERE b LIKE \'%\' || ?1";', 'f("no row of %s", x);',
    'f("%d of %d updated", x, y); g("SELECT a FROM t");',
]


class Lints(unittest.TestCase):
    def test_includes_refuses(self):
        for path, text, why in REFUSED_INCLUDES:
            with self.subTest(path=path, text=text):
                complaints = includes.check({path: text})
                self.assertEqual(len(complaints), 1, complaints)
                self.assertIn(why, complaints[0])
                self.assertTrue(complaints[0].startswith(path + ":1: "))

    def test_includes_allows(self):
        for path, text in ALLOWED_INCLUDES:
            with self.subTest(path=path, text=text):
                self.assertEqual(includes.check({path: text}), [])

    def test_includes_finds_a_header_beside_the_file(self):
        files = {"supernet/files/onnx.c": '#include "onnx.h"', "supernet/files/onnx.h": ""}
        self.assertEqual(includes.check(files), [])

    def test_microhttpd_has_one_user(self):
        text = "#include <microhttpd.h>"
        self.assertEqual(len(includes.check({"server/http.c": text, "server/work.c": text})), 1)

    def test_banned_refuses(self):
        for text in REFUSED_CALLS:
            with self.subTest(text=text):
                self.assertEqual(len(banned.check({"x.c": text})), 1)

    def test_banned_allows(self):
        for text in ALLOWED_CALLS:
            with self.subTest(text=text):
                self.assertEqual(banned.check({"x.c": text}), [])

    def test_comments_and_strings_are_told_apart(self):
        text = 'a = "/* no comment"; b = \'"\'; strcpy(c, d); /* "no string */'
        self.assertEqual(len(banned.check({"x.c": text})), 1)

    def test_headers_refuses_what_needs_company_or_a_guard(self):
        bad = {"a.h": "size_t f(void);\n", "b.h": "enum twice { ONE };\n", "c.h": "void f();\n"}
        good = {"d.h": "#ifndef D_H\n#define D_H\n#include <stddef.h>\nsize_t f(void);\n#endif\n"}
        with tempfile.TemporaryDirectory() as folder:
            for name, text in {**bad, **good}.items():
                self.write(folder, name, text)
            flags = ["-Wall", "-Wstrict-prototypes"]
            for name in bad:
                self.assertEqual(len(headers.check(folder, COMPILER, flags, [name])), 1, name)
            self.assertEqual(headers.check(folder, COMPILER, flags, ["d.h"]), [])

    @unittest.skipUnless(shutil.which("clang-format"), "no clang-format here")
    def test_format_refuses(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(os.path.join(ROOT, ".clang-format"), folder)
            self.write(folder, "bad.c", "int f(void){return 1;}\n")
            self.write(folder, "good.c", "int f(void)\n{\n    return 1;\n}\n")
            self.assertTrue(formatted.check(folder, ["bad.c", "good.c"]))
            self.assertEqual(formatted.check(folder, ["good.c"]), [])

    @unittest.skipUnless(shutil.which("clang-tidy"), "no clang-tidy here")
    def test_tidy_refuses(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(os.path.join(ROOT, ".clang-tidy"), folder)
            self.write(folder, "bad.c", "int f(int a)\n{\n    if (a)\n        return 1;\n    return 1;\n}\n")
            self.write(folder, "good.c", "int f(void)\n{\n    return 1;\n}\n")
            commands = ",".join(f'{{"directory": "{folder}", "file": "{n}", "command": "cc -c {n}"}}'
                                for n in ("bad.c", "good.c"))
            self.write(folder, "compile_commands.json", f"[{commands}]")
            self.assertEqual(len(tidy.check(folder, folder, ["bad.c", "good.c"])), 1)

    def test_a_lint_without_files_fails(self):
        with self.assertRaises(SystemExit) as caught:
            sources.finish([], 0)
        self.assertEqual(caught.exception.code, 1)

    @staticmethod
    def write(folder, name, text):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
