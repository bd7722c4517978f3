/* An extension module: its table needs every macro of the generated header. The name of
 * that header, MODULE, is filled in when the modules are laid out. */

#include "clinic/MODULE.c.h"

const struct {
    const char *name;
    int (*call)(int);
} methods[] = {
    METHOD_0_METHODDEF
    METHOD_1_METHODDEF
    METHOD_2_METHODDEF
    METHOD_3_METHODDEF
    METHOD_4_METHODDEF
    METHOD_5_METHODDEF
    METHOD_6_METHODDEF
    METHOD_7_METHODDEF
};
