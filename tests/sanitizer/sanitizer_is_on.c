/* sanitizer_is_on.c - commits the one fault that the named sanitizer must stop: address, undefined or thread. */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_beyond(int n)
{
    char *bytes = calloc(1, (size_t)n);
    volatile const char *seen = bytes; /* the compiler must not drop the reading */
    int result = seen ? seen[n] : 0;
    free(bytes);
    return result;
}

static int overflow(int n)
{
    volatile int most = INT_MAX;
    return most + n;
}

static volatile int shared;

static void *write_shared(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        shared++;
    }
    return NULL;
}

static int race(void)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        if (pthread_create(&threads[i], NULL, write_shared, NULL)) {
            return 0;
        }
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    return shared;
}

int main(int argc, char **argv)
{
    const char *name = argc == 2 ? argv[1] : "";
    int result = strcmp(name, "address") == 0     ? read_beyond(argc)
                 : strcmp(name, "undefined") == 0 ? overflow(argc)
                 : strcmp(name, "thread") == 0    ? race()
                                                  : 0;
    printf("nothing stopped it: %d\n", result);
    return 0;
}
