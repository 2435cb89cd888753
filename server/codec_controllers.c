/* codec_controllers.c - the controllers that a search may ask for, as the program has them.
 */
#include "base/codec_json.h"
#include "server/codec_search.h"

enum tl_rc controllers_encode(struct tl_buf *buf, struct tl_err *err)
{
    json_t *list = json_array(), *rewards = json_array();

    for (size_t i = 0; i < search_controller_count(); i++) {
        const struct search_controller_ops *ops = search_controller_at(i);
        if (json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "name", ops->name, "help", ops->help, "rewards",
                                                  (int)ops->rewards))) {
            json_decref(list);
            json_decref(rewards);
            return tl_fail(err, TL_NO_MEMORY, "no memory for a list of controllers");
        }
    }
    for (int i = SEARCH_REWARD_DEFAULT + 1; i < SEARCH_REWARD_COUNT; i++) {
        json_array_append_new(rewards, json_string(search_reward_name((enum search_reward)i)));
    }
    return tl_json_dump_take(
        json_pack("{s:o, s:s, s:o}", "controllers", list, "default", CONTROLLER_DEFAULT, "rewards", rewards), buf, err);
}
