/* lossy_server.c - `tailor serve` on a disk that forgets: whoever kills it has cut the power, and what SQLite had written but
 * not synced is gone. Takes the arguments of tailor serve.
 */
#include "base/model/model.h"
#include "server/command.h"
#include "store/vfs_lossy.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    struct tl_err err = {0};
    enum tl_rc rc;

    model_blas_single_thread();
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        return 1;
    }
    vfs_lossy_register();
    if (sqlite3_vfs_register(sqlite3_vfs_find("lossy"), 1) != SQLITE_OK) {
        return 1;
    }
    rc = command_serve.run(argc - 1, argv + 1, &err);
    if (rc != TL_OK) {
        (void)fprintf(stderr, "lossy_server: %s\n", err.text);
    }
    return rc == TL_OK ? 0 : 1;
}
