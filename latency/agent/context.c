/* context.c - what this machine tells about itself, from /proc and /sys.
 *
 * Phones and containers hide much of it: what is missing is unknown (NAN, ""), never 0.
 * Threads: any.
 */
#include "latency/agent/agent.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* Of a file read here: /proc/cpuinfo of a machine with a thousand processors. */
enum { FILE_MAX = 4 << 20 };

/* The file's text up to its first line end; false when it cannot be read. */
static bool read_line(const char *root, const char *name, char *ret_text, size_t size)
{
    char path[AGENT_PATH_MAX];
    TL_AUTO(tl_buf) text = {.max = FILE_MAX};

    (void)snprintf(path, sizeof path, "%s%s", root, name);
    if (tl_file_read(path, &text, NULL) != TL_OK || text.data == NULL) {
        return false;
    }
    text.data[strcspn(text.data, "\n")] = '\0';
    (void)snprintf(ret_text, size, "%s", text.data);
    return true;
}

static double read_number(const char *root, const char *name)
{
    char text[64], *end = NULL;

    if (!read_line(root, name, text, sizeof text)) {
        return NAN;
    }
    const double value = strtod(text, &end);
    return end == text ? (double)NAN : value;
}

/* "cpu user nice system idle iowait irq softirq steal ...", in ticks, summed over processors. */
static void look_at_ticks(const char *root, struct agent_machine *machine)
{
    enum { IDLE = 3, IOWAIT = 4, STEAL = 7, N = 8 };
    char line[512];
    double ticks[N] = {0}, total = 0;
    const long per_s = sysconf(_SC_CLK_TCK);

    machine->busy_s = machine->steal_s = machine->total_s = NAN;
    if (!read_line(root, "/proc/stat", line, sizeof line) || strncmp(line, "cpu ", 4) != 0 || per_s <= 0) {
        return;
    }
    char *at = line + 4;
    for (size_t i = 0; i < N; i++) {
        char *end = NULL;
        ticks[i] = strtod(at, &end);
        if (end == at) {
            return; /* an old kernel, or none */
        }
        total += ticks[i];
        at = end;
    }
    machine->total_s = total / (double)per_s;
    machine->steal_s = ticks[STEAL] / (double)per_s;
    machine->busy_s = (total - ticks[IDLE] - ticks[IOWAIT] - ticks[STEAL]) / (double)per_s;
}

/* The hottest zone, in degrees Celsius. */
static double look_at_heat(const char *root)
{
    enum { ZONES_MAX = 64 };
    double hottest = NAN;

    for (int zone = 0; zone < ZONES_MAX; zone++) {
        char name[64];
        (void)snprintf(name, sizeof name, "/sys/class/thermal/thermal_zone%d/temp", zone);
        const double temp_c = read_number(root, name) / 1000;
        if (!isnan(temp_c) && !(temp_c <= hottest)) {
            hottest = temp_c;
        }
    }
    return hottest;
}

static double own_cpu_s(void)
{
    struct timespec used;

    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0) {
        return NAN;
    }
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

void agent_machine_look(const char *root, struct agent_machine *ret_machine)
{
    static const char cpufreq[] = "/sys/devices/system/cpu/cpu0/cpufreq";
    char name[128];

    *ret_machine = (struct agent_machine){.mono_ns = tl_clock_mono_ns(), .own_s = own_cpu_s()};
    look_at_ticks(root, ret_machine);
    (void)snprintf(name, sizeof name, "%s/scaling_cur_freq", cpufreq);
    ret_machine->khz = read_number(root, name);
    (void)snprintf(name, sizeof name, "%s/scaling_governor", cpufreq);
    if (!read_line(root, name, ret_machine->governor, sizeof ret_machine->governor)) {
        ret_machine->governor[0] = '\0';
    }
    ret_machine->temp_c = look_at_heat(root);
    ret_machine->load1 = read_number(root, "/proc/loadavg");
}

double agent_others_cpu(const struct agent_machine *before, const struct agent_machine *after)
{
    const double wall_s = (double)(after->mono_ns - before->mono_ns) / 1e9;
    const double others_s = (after->busy_s - before->busy_s) - (after->own_s - before->own_s);

    if (!(wall_s > 0) || isnan(others_s)) {
        return NAN;
    }
    return others_s > 0 ? others_s / wall_s : 0; /* ticks are coarse: a little below 0 is nothing */
}

double agent_steal(const struct agent_machine *before, const struct agent_machine *after)
{
    const double total_s = after->total_s - before->total_s;

    return total_s > 0 ? (after->steal_s - before->steal_s) / total_s : (double)NAN;
}

/* The value of "name<spaces><separator> value", quotes taken off; "" when there is none. */
static void find_value(const char *root, const char *file, const char *name, char separator, char *ret_value,
                       size_t size)
{
    char path[AGENT_PATH_MAX];
    TL_AUTO(tl_buf) text = {.max = FILE_MAX};

    ret_value[0] = '\0';
    (void)snprintf(path, sizeof path, "%s%s", root, file);
    if (tl_file_read(path, &text, NULL) != TL_OK || text.data == NULL) {
        return;
    }
    for (char *line = text.data; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *value = strchr(line, separator);
        if (strncmp(line, name, strlen(name)) == 0 && value != NULL) {
            value += 1 + strspn(value + 1, " \t\"");
            (void)snprintf(ret_value, size, "%.*s", (int)strcspn(value, "\"\n"), value);
            return;
        }
    }
}

void agent_host_look(const char *root, struct agent_host *ret_host)
{
    struct utsname name;

    *ret_host = (struct agent_host){.cores = tl_cpu_count()};
    find_value(root, "/proc/cpuinfo", "model name", ':', ret_host->cpu, sizeof ret_host->cpu);
    find_value(root, "/etc/os-release", "PRETTY_NAME", '=', ret_host->os, sizeof ret_host->os);
    if (uname(&name) >= 0) {
        (void)snprintf(ret_host->kernel, sizeof ret_host->kernel, "%.40s %.80s", name.sysname, name.release);
        if (ret_host->cpu[0] == '\0') { /* Arm kernels name no model */
            (void)snprintf(ret_host->cpu, sizeof ret_host->cpu, "%.120s", name.machine);
        }
    }
}
