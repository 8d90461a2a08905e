/* SPDX-License-Identifier: Apache-2.0
 *
 * The grammar of SQL, for lemon; PostgreSQL's, as far as it is served. One parse
 * is one statement; src/sql/parse.c cuts the text and feeds the tokens.
 * Statements that are not served are known by their first words in
 * catalog/commands.tbl and never come here. Keywords, %fallback and the rules
 * `name ::= WORD` and `label ::= WORD` come from catalog/keywords.tbl: the build
 * puts them in front of this file. Zero conflicts, or the build fails.
 *
 * expr is what may stand anywhere; bexpr leaves out what AND, IN, BETWEEN and
 * column options would make ambiguous. */
%name sql_parser
%token_prefix T_
%token_type {struct ast_token}
%extra_argument {struct ast_parse *p}
%start_symbol start
%stack_size 6000
%token SEMI.

%include {
#include "sql/ast.h"

#include "base/check.h"

/* lemon's own code */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wunused-variable"

#define NO_TOKEN ((struct ast_token){.text = OX_STR_NULL, .pos = -1})
#define STR_IS(t, s) ox_str_is((t).text, s)
}

%syntax_error {
    if (TOKEN.text.ptr == NULL)
        ast_fail(p, OX_SYNTAX_ERROR, TOKEN.pos, "syntax error at end of input");
    else
        ast_syntax_error(p, TOKEN);
}
%stack_overflow {
    ast_fail(p, OX_STATEMENT_TOO_COMPLEX, -1, "statement is nested too deeply");
}

%left UNION EXCEPT.
%left INTERSECT.
%left OR.
%left AND.
%right NOT.
%nonassoc IS ISNULL NOTNULL.
%nonassoc LT GT EQ LE GE NE.
%nonassoc BETWEEN IN LIKE ILIKE SIMILAR NOT_LA.
%nonassoc ESCAPE.
%left OP OPERATOR.
%left PLUS MINUS.
%left STAR SLASH PERCENT.
%left CARET.
%left AT.
%left COLLATE.
%right UMINUS.
%left LB RB.
%left LP RP.
%left TYPECAST.
%left DOT.
%left JOIN CROSS LEFT FULL RIGHT INNER NATURAL ASOF.

%type stmt {struct ast_stmt *}
%type expr {struct ast_expr *}
%type bexpr {struct ast_expr *}
%type cexpr {struct ast_expr *}
%type array_expr {struct ast_expr *}
%type array_elems {struct ast_list *}
%type qname {struct ast_name *}
%type qnames {struct ast_list *}
%type names {struct ast_list *}
%type exprs {struct ast_list *}
%type oexprs {struct ast_list *}
%type name {struct ast_token}
%type label {struct ast_token}

start ::= stmt(S). { ast_stmt_add(p, S, -1); }

/* ---- Names --------------------------------------------------------------- */

name(A) ::= IDENT(B). { A = B; }
label(A) ::= name(B). { A = B; }
qname(A) ::= name(B). { A = ast_name_new(p, B); }
qname(A) ::= qname(B) DOT label(C). { A = ast_name_add(p, B, C); }
qnames(A) ::= qname(B). { A = ast_list_one(p, B); }
qnames(A) ::= qnames(B) COMMA qname(C). { A = ast_list_add(p, B, C); }
names(A) ::= name(B). { A = ast_list_one(p, ast_token_copy(p, B)); }
names(A) ::= names(B) COMMA name(C). { A = ast_list_add(p, B, ast_token_copy(p, C)); }
%type colsopt {struct ast_list *}
colsopt(A) ::= . { A = NULL; }
colsopt(A) ::= LP names(B) RP. { A = B; }
%type gname {struct ast_token}
gname(A) ::= name(B). { A = B; }
gname(A) ::= SCONST(B). { A = B; }

/* ---- Types ----------------------------------------------------------------- */

%type type {struct ast_type *}
%type stype {struct ast_type *}
%type tzopt {int}
%type ifield {struct ast_token}
type(A) ::= stype(B). { A = B; }
type(A) ::= stype(B) ARRAY. { A = ast_type_array(B); }
type(A) ::= stype(B) ARRAY LB ICONST RB. { A = ast_type_array(B); }
type(A) ::= stype(B) bounds. { A = ast_type_array(B); }
bounds ::= LB RB.
bounds ::= LB ICONST RB.
bounds ::= bounds LB RB.
bounds ::= bounds LB ICONST RB.
stype(A) ::= qname(B). { A = ast_type_new(p, B, NULL); }
stype(A) ::= qname(B) LP exprs(C) RP. { A = ast_type_new(p, B, C); }
stype(A) ::= DOUBLE(B) PRECISION. { A = ast_type_of(p, B.pos, "float8", NULL); }
stype(A) ::= CHARACTER(B) VARYING. { A = ast_type_of(p, B.pos, "varchar", NULL); }
stype(A) ::= CHARACTER(B) VARYING LP exprs(C) RP. { A = ast_type_of(p, B.pos, "varchar", C); }
stype(A) ::= CHARACTER(B). { A = ast_type_of(p, B.pos, "bpchar", NULL); }
stype(A) ::= CHARACTER(B) LP exprs(C) RP. { A = ast_type_of(p, B.pos, "bpchar", C); }
stype(A) ::= TIMESTAMP(B) tzopt(C). {
    A = ast_type_of(p, B.pos, C ? "timestamptz" : "timestamp", NULL);
}
stype(A) ::= TIMESTAMP(B) LP exprs(D) RP tzopt(C). {
    A = ast_type_of(p, B.pos, C ? "timestamptz" : "timestamp", D);
}
stype(A) ::= TIME(B) tzopt(C). { A = ast_type_of(p, B.pos, C ? "timetz" : "time", NULL); }
stype(A) ::= TIME(B) LP exprs(D) RP tzopt(C). {
    A = ast_type_of(p, B.pos, C ? "timetz" : "time", D);
}
stype(A) ::= INTERVAL(B) ifieldopt(C). { A = ast_interval_type(p, B.pos, C); }
stype(A) ::= INTERVAL(B) LP ICONST(C) RP. {
    A = ast_interval_type(p, B.pos, (struct ast_fields){.precision = C});
}
tzopt(A) ::= . { A = 0; }
tzopt(A) ::= WITH_LA TIME ZONE. { A = 1; }
tzopt(A) ::= WITHOUT TIME ZONE. { A = 0; }
%type ifieldopt {struct ast_fields}
%type isecond {struct ast_fields}
ifieldopt(A) ::= . { A = (struct ast_fields){.precision = NO_TOKEN}; }
ifieldopt(A) ::= YEAR. { A = ast_fields('Y', 'Y', NO_TOKEN); }
ifieldopt(A) ::= MONTH. { A = ast_fields('O', 'O', NO_TOKEN); }
ifieldopt(A) ::= DAY. { A = ast_fields('D', 'D', NO_TOKEN); }
ifieldopt(A) ::= HOUR. { A = ast_fields('H', 'H', NO_TOKEN); }
ifieldopt(A) ::= MINUTE. { A = ast_fields('M', 'M', NO_TOKEN); }
ifieldopt(A) ::= isecond(B). { A = B; }
ifieldopt(A) ::= YEAR TO MONTH. { A = ast_fields('Y', 'O', NO_TOKEN); }
ifieldopt(A) ::= DAY TO HOUR. { A = ast_fields('D', 'H', NO_TOKEN); }
ifieldopt(A) ::= DAY TO MINUTE. { A = ast_fields('D', 'M', NO_TOKEN); }
ifieldopt(A) ::= DAY TO isecond(B). { A = ast_fields('D', 'S', B.precision); }
ifieldopt(A) ::= HOUR TO MINUTE. { A = ast_fields('H', 'M', NO_TOKEN); }
ifieldopt(A) ::= HOUR TO isecond(B). { A = ast_fields('H', 'S', B.precision); }
ifieldopt(A) ::= MINUTE TO isecond(B). { A = ast_fields('M', 'S', B.precision); }
isecond(A) ::= SECOND. { A = ast_fields('S', 'S', NO_TOKEN); }
isecond(A) ::= SECOND LP ICONST(B) RP. { A = ast_fields('S', 'S', B); }

/* ---- Expressions ------------------------------------------------------------- */

exprs(A) ::= expr(B). { A = ast_list_one(p, B); }
exprs(A) ::= exprs(B) COMMA expr(C). { A = ast_list_add(p, B, C); }
oexprs(A) ::= . { A = NULL; }
oexprs(A) ::= exprs(B). { A = B; }

expr(A) ::= bexpr(B). { A = B; }
expr(A) ::= DEFAULT(B). { A = ast_leaf(p, AST_DEFAULT, B); }
expr(A) ::= expr(B) AND(O) expr(C). { A = ast_logic(p, AST_AND, O.pos, B, C); }
expr(A) ::= expr(B) OR(O) expr(C). { A = ast_logic(p, AST_OR, O.pos, B, C); }
expr(A) ::= NOT(O) expr(B). { A = ast_unary(p, AST_NOT, O.pos, B); }
expr(A) ::= NOT_LA(O) expr(B). [NOT] { A = ast_unary(p, AST_NOT, O.pos, B); }
expr(A) ::= expr(B) LT(O) expr(C). { A = ast_op(p, O, B, C); }
expr(A) ::= expr(B) GT(O) expr(C). { A = ast_op(p, O, B, C); }
expr(A) ::= expr(B) EQ(O) expr(C). { A = ast_op(p, O, B, C); }
expr(A) ::= expr(B) LE(O) expr(C). { A = ast_op(p, O, B, C); }
expr(A) ::= expr(B) GE(O) expr(C). { A = ast_op(p, O, B, C); }
expr(A) ::= expr(B) NE(O) expr(C). { A = ast_op(p, O, B, C); }
expr(A) ::= expr(B) IS(O) NULL. [IS] { A = ast_test(p, O.pos, B, AST_IS_NULL, false); }
expr(A) ::= expr(B) IS(O) NOT NULL. [IS] { A = ast_test(p, O.pos, B, AST_IS_NULL, true); }
expr(A) ::= expr(B) ISNULL(O). { A = ast_test(p, O.pos, B, AST_IS_NULL, false); }
expr(A) ::= expr(B) NOTNULL(O). { A = ast_test(p, O.pos, B, AST_IS_NULL, true); }
expr(A) ::= expr(B) IS(O) TRUE. [IS] { A = ast_test(p, O.pos, B, AST_IS_TRUE, false); }
expr(A) ::= expr(B) IS(O) NOT TRUE. [IS] { A = ast_test(p, O.pos, B, AST_IS_TRUE, true); }
expr(A) ::= expr(B) IS(O) FALSE. [IS] { A = ast_test(p, O.pos, B, AST_IS_FALSE, false); }
expr(A) ::= expr(B) IS(O) NOT FALSE. [IS] { A = ast_test(p, O.pos, B, AST_IS_FALSE, true); }
expr(A) ::= expr(B) IS(O) UNKNOWN. [IS] { A = ast_test(p, O.pos, B, AST_IS_UNKNOWN, false); }
expr(A) ::= expr(B) IS(O) NOT UNKNOWN. [IS] { A = ast_test(p, O.pos, B, AST_IS_UNKNOWN, true); }
expr(A) ::= expr(B) IS(O) DISTINCT FROM expr(C). [IS] {
    A = ast_three(p, AST_DISTINCT_FROM, O.pos, false, B, C, NULL);
}
expr(A) ::= expr(B) IS(O) NOT DISTINCT FROM expr(C). [IS] {
    A = ast_three(p, AST_DISTINCT_FROM, O.pos, true, B, C, NULL);
}
expr(A) ::= expr(B) BETWEEN(O) asym(S) bexpr(C) AND bexpr(D). [BETWEEN] {
    A = ast_three(p, AST_BETWEEN, O.pos, false, B, C, D);
    A->number = S;
}
expr(A) ::= expr(B) NOT_LA(O) BETWEEN asym(S) bexpr(C) AND bexpr(D). [BETWEEN] {
    A = ast_three(p, AST_BETWEEN, O.pos, true, B, C, D);
    A->number = S;
}
%type asym {int}
asym(A) ::= . { A = 0; }
asym(A) ::= ASYMMETRIC. { A = 0; }
asym(A) ::= SYMMETRIC. { A = 1; }
expr(A) ::= expr(B) IN(O) select_parens(C). [IN] { A = ast_in(p, O.pos, false, B, NULL, C); }
expr(A) ::= expr(B) IN(O) LP exprs(C) RP. [IN] { A = ast_in(p, O.pos, false, B, C, NULL); }
expr(A) ::= expr(B) NOT_LA(O) IN select_parens(C). [IN] {
    A = ast_in(p, O.pos, true, B, NULL, C);
}
expr(A) ::= expr(B) NOT_LA(O) IN LP exprs(C) RP. [IN] { A = ast_in(p, O.pos, true, B, C, NULL); }
expr(A) ::= expr(B) LIKE(O) bexpr(C). { A = ast_like(p, O.pos, "LIKE", false, B, C, NULL); }
expr(A) ::= expr(B) LIKE(O) bexpr(C) ESCAPE bexpr(D). [LIKE] {
    A = ast_like(p, O.pos, "LIKE", false, B, C, D);
}
expr(A) ::= expr(B) NOT_LA(O) LIKE bexpr(C). [LIKE] {
    A = ast_like(p, O.pos, "LIKE", true, B, C, NULL);
}
expr(A) ::= expr(B) NOT_LA(O) LIKE bexpr(C) ESCAPE bexpr(D). [LIKE] {
    A = ast_like(p, O.pos, "LIKE", true, B, C, D);
}
expr(A) ::= expr(B) ILIKE(O) bexpr(C). { A = ast_like(p, O.pos, "ILIKE", false, B, C, NULL); }
expr(A) ::= expr(B) ILIKE(O) bexpr(C) ESCAPE bexpr(D). [ILIKE] {
    A = ast_like(p, O.pos, "ILIKE", false, B, C, D);
}
expr(A) ::= expr(B) NOT_LA(O) ILIKE bexpr(C). [ILIKE] {
    A = ast_like(p, O.pos, "ILIKE", true, B, C, NULL);
}
expr(A) ::= expr(B) NOT_LA(O) ILIKE bexpr(C) ESCAPE bexpr(D). [ILIKE] {
    A = ast_like(p, O.pos, "ILIKE", true, B, C, D);
}
expr(A) ::= expr(B) SIMILAR(O) TO bexpr(C). [SIMILAR] {
    A = ast_like(p, O.pos, "SIMILAR", false, B, C, NULL);
}
expr(A) ::= expr(B) SIMILAR(O) TO bexpr(C) ESCAPE bexpr(D). [SIMILAR] {
    A = ast_like(p, O.pos, "SIMILAR", false, B, C, D);
}
expr(A) ::= expr(B) NOT_LA(O) SIMILAR TO bexpr(C). [SIMILAR] {
    A = ast_like(p, O.pos, "SIMILAR", true, B, C, NULL);
}
expr(A) ::= expr(B) NOT_LA(O) SIMILAR TO bexpr(C) ESCAPE bexpr(D). [SIMILAR] {
    A = ast_like(p, O.pos, "SIMILAR", true, B, C, D);
}
expr(A) ::= LP(O) expr(B) COMMA exprs(C) RP OVERLAPS LP exprs(D) RP. {
    struct ast_list *list = ast_list_one(p, B);
    for (size_t i = 0; i < C->count; i++)
        ast_list_add(p, list, C->items[i]);
    for (size_t i = 0; i < D->count; i++)
        ast_list_add(p, list, D->items[i]);
    A = ast_call_of(p, O.pos, "overlaps", list);
}

/* x = ANY (...) and so on */
%type quant {int}
quant(A) ::= ANY. { A = 0; }
quant(A) ::= SOME. { A = 0; }
quant(A) ::= ALL. { A = 1; }
expr(A) ::= expr(B) cmp(O) quant(Q) select_parens(C). [EQ] {
    A = ast_quantified(p, O, Q, B, NULL, C);
}
expr(A) ::= expr(B) cmp(O) quant(Q) LP expr(C) RP. [EQ] {
    A = ast_quantified(p, O, Q, B, C, NULL);
}
%type cmp {struct ast_token}
cmp(A) ::= EQ(B). { A = B; }
cmp(A) ::= NE(B). { A = B; }
cmp(A) ::= LT(B). { A = B; }
cmp(A) ::= GT(B). { A = B; }
cmp(A) ::= LE(B). { A = B; }
cmp(A) ::= GE(B). { A = B; }
bexpr(A) ::= bexpr(B) OP(O) quant(Q) select_parens(C). [OP] {
    A = ast_quantified(p, O, Q, B, NULL, C);
}
bexpr(A) ::= bexpr(B) OP(O) quant(Q) LP expr(C) RP. [OP] {
    A = ast_quantified(p, O, Q, B, C, NULL);
}
bexpr(A) ::= bexpr(B) OPERATOR opname(O) quant(Q) LP expr(C) RP. [OP] {
    A = ast_quantified(p, O, Q, B, C, NULL);
}
expr(A) ::= expr(B) LIKE(O) quant(Q) LP expr(C) RP. [LIKE] {
    struct ast_token op = O;
    op.text = OX_STR("~~");
    A = ast_quantified(p, op, Q, B, C, NULL);
}
expr(A) ::= expr(B) NOT_LA(O) LIKE quant(Q) LP expr(C) RP. [LIKE] {
    struct ast_token op = O;
    op.text = OX_STR("!~~");
    A = ast_quantified(p, op, Q, B, C, NULL);
}
expr(A) ::= expr(B) ILIKE(O) quant(Q) LP expr(C) RP. [ILIKE] {
    struct ast_token op = O;
    op.text = OX_STR("~~*");
    A = ast_quantified(p, op, Q, B, C, NULL);
}

bexpr(A) ::= cexpr(B). { A = B; }
bexpr(A) ::= bexpr(B) TYPECAST(O) type(C). { A = ast_cast(p, O.pos, B, C); }
bexpr(A) ::= PLUS(O) bexpr(B). [UMINUS] { A = ast_op(p, O, NULL, B); }
bexpr(A) ::= MINUS(O) bexpr(B). [UMINUS] { A = ast_negate(p, O, B); }
bexpr(A) ::= bexpr(B) PLUS(O) bexpr(C). { A = ast_op(p, O, B, C); }
bexpr(A) ::= bexpr(B) MINUS(O) bexpr(C). { A = ast_op(p, O, B, C); }
bexpr(A) ::= bexpr(B) STAR(O) bexpr(C). { A = ast_op(p, O, B, C); }
bexpr(A) ::= bexpr(B) SLASH(O) bexpr(C). { A = ast_op(p, O, B, C); }
bexpr(A) ::= bexpr(B) PERCENT(O) bexpr(C). { A = ast_op(p, O, B, C); }
bexpr(A) ::= bexpr(B) CARET(O) bexpr(C). { A = ast_op(p, O, B, C); }
bexpr(A) ::= bexpr(B) OP(O) bexpr(C). { A = ast_op(p, O, B, C); }
bexpr(A) ::= OP(O) bexpr(B). { A = ast_op(p, O, NULL, B); }
bexpr(A) ::= bexpr(B) OPERATOR opname(O) bexpr(C). [OP] { A = ast_op(p, O, B, C); }
bexpr(A) ::= bexpr(B) AT(O) TIME ZONE bexpr(C). [AT] {
    A = ast_call_of(p, O.pos, "timezone", ast_list_add(p, ast_list_one(p, C), B));
}
bexpr(A) ::= bexpr(B) COLLATE(O) qname(C). { A = ast_collate(p, O.pos, B, C); }

%type opname {struct ast_token}
%type anyop {struct ast_token}
opname(A) ::= LP anyop(B) RP. { A = B; }
opname(A) ::= LP name DOT anyop(B) RP. { A = B; }
anyop(A) ::= OP(B). { A = B; }
anyop(A) ::= PLUS(B). { A = B; }
anyop(A) ::= MINUS(B). { A = B; }
anyop(A) ::= STAR(B). { A = B; }
anyop(A) ::= SLASH(B). { A = B; }
anyop(A) ::= PERCENT(B). { A = B; }
anyop(A) ::= CARET(B). { A = B; }
anyop(A) ::= LT(B). { A = B; }
anyop(A) ::= GT(B). { A = B; }
anyop(A) ::= EQ(B). { A = B; }
anyop(A) ::= LE(B). { A = B; }
anyop(A) ::= GE(B). { A = B; }
anyop(A) ::= NE(B). { A = B; }

cexpr(A) ::= qname(B). { A = ast_column(p, B); }
cexpr(A) ::= qname(B) DOT STAR. { B->star = true; A = ast_column(p, B); }
cexpr(A) ::= TIME(B). { A = ast_column(p, ast_name_new(p, B)); }
cexpr(A) ::= TIMESTAMP(B). { A = ast_column(p, ast_name_new(p, B)); }
cexpr(A) ::= INTERVAL(B). { A = ast_column(p, ast_name_new(p, B)); }
cexpr(A) ::= ICONST(B). { A = ast_leaf(p, AST_INTEGER, B); }
cexpr(A) ::= FCONST(B). { A = ast_leaf(p, AST_NUMBER, B); }
cexpr(A) ::= SCONST(B). { A = ast_leaf(p, AST_STRING, B); }
cexpr(A) ::= BCONST(B). { A = ast_leaf(p, AST_BITS, B); }
cexpr(A) ::= XCONST(B). { A = ast_leaf(p, AST_BITS, B); }
cexpr(A) ::= PARAM(B). { A = ast_param(p, B); }
cexpr(A) ::= NULL(B). { A = ast_leaf(p, AST_NULL, B); }
cexpr(A) ::= TRUE(B). { A = ast_bool(p, B.pos, true); }
cexpr(A) ::= FALSE(B). { A = ast_bool(p, B.pos, false); }
cexpr(A) ::= qname(B) SCONST(C). { A = ast_literal(p, ast_type_new(p, B, NULL), C); }
cexpr(A) ::= DOUBLE(B) PRECISION SCONST(C). {
    A = ast_literal(p, ast_type_of(p, B.pos, "float8", NULL), C);
}
cexpr(A) ::= TIMESTAMP(B) tzopt(T) SCONST(C). {
    A = ast_literal(p, ast_type_of(p, B.pos, T ? "timestamptz" : "timestamp", NULL), C);
}
cexpr(A) ::= TIMESTAMP(B) LP exprs(D) RP tzopt(T) SCONST(C). {
    A = ast_literal(p, ast_type_of(p, B.pos, T ? "timestamptz" : "timestamp", D), C);
}
cexpr(A) ::= TIME(B) tzopt(T) SCONST(C). {
    A = ast_literal(p, ast_type_of(p, B.pos, T ? "timetz" : "time", NULL), C);
}
cexpr(A) ::= TIME(B) LP exprs(D) RP tzopt(T) SCONST(C). {
    A = ast_literal(p, ast_type_of(p, B.pos, T ? "timetz" : "time", D), C);
}
cexpr(A) ::= INTERVAL(B) SCONST(C) ifieldopt(D). {
    A = ast_literal(p, ast_interval_type(p, B.pos, D), C);
}
cexpr(A) ::= INTERVAL(B) LP ICONST(D) RP SCONST(C). {
    A = ast_literal(p, ast_interval_type(p, B.pos, (struct ast_fields){.precision = D}), C);
}
cexpr(A) ::= LP expr(B) RP. { A = B; A->parens = true; }
cexpr(A) ::= LP(O) expr(B) COMMA exprs(C) RP. {
    struct ast_list *list = ast_list_one(p, B);
    for (size_t i = 0; i < C->count; i++)
        ast_list_add(p, list, C->items[i]);
    A = ast_listed(p, AST_ROW, O.pos, list);
}
cexpr(A) ::= ROW(O) LP oexprs(B) RP. {
    A = ast_listed(p, AST_ROW, O.pos, B != NULL ? B : ast_list_new(p));
}
cexpr(A) ::= LP expr(B) RP DOT label(C). { A = ast_field(p, B, C); }
cexpr(A) ::= LP expr(B) RP DOT STAR(C). { A = ast_field(p, B, C); }
cexpr(A) ::= select_parens(B). [UMINUS] { A = ast_select_expr(p, AST_SUBQUERY, B->pos, B); }
cexpr(A) ::= EXISTS(O) select_parens(B). { A = ast_select_expr(p, AST_EXISTS, O.pos, B); }
cexpr(A) ::= ARRAY(O) select_parens(B). { A = ast_select_expr(p, AST_ARRAY_SELECT, O.pos, B); }
cexpr(A) ::= ARRAY(O) array_expr(B). { A = B; A->pos = O.pos; }
cexpr(A) ::= cexpr(B) LB expr(C) RB. { A = ast_subscript(p, B, C, NULL, false); }
cexpr(A) ::= cexpr(B) LB sliceopt(C) COLON sliceopt(D) RB. {
    A = ast_subscript(p, B, C, D, true);
}
%type sliceopt {struct ast_expr *}
sliceopt(A) ::= . { A = NULL; }
sliceopt(A) ::= expr(B). { A = B; }
array_expr(A) ::= LB(O) RB. { A = ast_listed(p, AST_ARRAY, O.pos, ast_list_new(p)); }
array_expr(A) ::= LB(O) exprs(B) RB. { A = ast_listed(p, AST_ARRAY, O.pos, B); }
array_expr(A) ::= LB(O) array_elems(B) RB. { A = ast_listed(p, AST_ARRAY, O.pos, B); }
array_elems(A) ::= array_expr(B). { A = ast_list_one(p, B); }
array_elems(A) ::= array_elems(B) COMMA array_expr(C). { A = ast_list_add(p, B, C); }

cexpr(A) ::= CASE(O) caseopt(B) whens(C) elseopt(D) END. { A = ast_case(p, O.pos, B, C, D); }
%type caseopt {struct ast_expr *}
%type elseopt {struct ast_expr *}
%type whens {struct ast_list *}
caseopt(A) ::= . { A = NULL; }
caseopt(A) ::= expr(B). { A = B; }
whens(A) ::= WHEN expr(B) THEN expr(C). { A = ast_list_add(p, ast_list_one(p, B), C); }
whens(A) ::= whens(L) WHEN expr(B) THEN expr(C). { A = ast_list_add(p, ast_list_add(p, L, B), C); }
elseopt(A) ::= . { A = NULL; }
elseopt(A) ::= ELSE expr(B). { A = B; }

cexpr(A) ::= CAST(O) LP expr(B) AS type(C) RP. { A = ast_cast(p, O.pos, B, C); }
cexpr(A) ::= COALESCE(O) LP exprs(B) RP. { A = ast_listed(p, AST_COALESCE, O.pos, B); }
cexpr(A) ::= GREATEST(O) LP exprs(B) RP. { A = ast_listed(p, AST_GREATEST, O.pos, B); }
cexpr(A) ::= LEAST(O) LP exprs(B) RP. { A = ast_listed(p, AST_LEAST, O.pos, B); }
cexpr(A) ::= NULLIF(O) LP expr(B) COMMA expr(C) RP. {
    A = ast_listed(p, AST_NULLIF, O.pos, ast_list_add(p, ast_list_one(p, B), C));
}
cexpr(A) ::= GROUPING(O) LP exprs(B) RP. { A = ast_listed(p, AST_GROUPING, O.pos, B); }
cexpr(A) ::= EXTRACT(O) LP efield(B) FROM expr(C) RP. {
    A = ast_call_of(p, O.pos, "extract",
        ast_list_add(p, ast_list_one(p, ast_leaf(p, AST_STRING, B)), C));
}
%type efield {struct ast_token}
efield(A) ::= label(B). { A = B; }
efield(A) ::= SCONST(B). { A = B; }
cexpr(A) ::= POSITION(O) LP bexpr(B) IN bexpr(C) RP. {
    A = ast_call_of(p, O.pos, "position", ast_list_add(p, ast_list_one(p, C), B));
}
cexpr(A) ::= SUBSTRING(O) LP exprs(B) RP. { A = ast_call_of(p, O.pos, "substring", B); }
cexpr(A) ::= SUBSTRING(O) LP expr(B) FROM expr(C) RP. {
    A = ast_call_of(p, O.pos, "substring", ast_list_add(p, ast_list_one(p, B), C));
}
cexpr(A) ::= SUBSTRING(O) LP expr(B) FROM expr(C) FOR expr(D) RP. {
    A = ast_call_of(p, O.pos, "substring",
        ast_list_add(p, ast_list_add(p, ast_list_one(p, B), C), D));
}
cexpr(A) ::= SUBSTRING(O) LP expr(B) SIMILAR expr(C) ESCAPE expr(D) RP. {
    A = ast_call_of(p, O.pos, "substring",
        ast_list_add(p, ast_list_add(p, ast_list_one(p, B), C), D));
}
cexpr(A) ::= SUBSTRING(O) LP expr(B) FOR expr(D) RP. {
    struct ast_token one = {.text = OX_STR("1"), .pos = O.pos, .end = O.end};
    A = ast_call_of(p, O.pos, "substring", ast_list_add(p,
        ast_list_add(p, ast_list_one(p, B), ast_leaf(p, AST_INTEGER, one)), D));
}
cexpr(A) ::= OVERLAY(O) LP expr(B) PLACING expr(C) FROM expr(D) RP. {
    A = ast_call_of(p, O.pos, "overlay",
        ast_list_add(p, ast_list_add(p, ast_list_one(p, B), C), D));
}
cexpr(A) ::= OVERLAY(O) LP expr(B) PLACING expr(C) FROM expr(D) FOR expr(E) RP. {
    A = ast_call_of(p, O.pos, "overlay", ast_list_add(p,
        ast_list_add(p, ast_list_add(p, ast_list_one(p, B), C), D), E));
}
cexpr(A) ::= TRIM(O) LP trimlist(B) RP. { A = ast_call_of(p, O.pos, "btrim", B); }
cexpr(A) ::= TRIM(O) LP BOTH trimlist(B) RP. { A = ast_call_of(p, O.pos, "btrim", B); }
cexpr(A) ::= TRIM(O) LP LEADING trimlist(B) RP. { A = ast_call_of(p, O.pos, "ltrim", B); }
cexpr(A) ::= TRIM(O) LP TRAILING trimlist(B) RP. { A = ast_call_of(p, O.pos, "rtrim", B); }
%type trimlist {struct ast_list *}
trimlist(A) ::= exprs(B). { A = B; }
trimlist(A) ::= FROM exprs(B). { A = B; }
trimlist(A) ::= expr(B) FROM exprs(C). { A = ast_list_add(p, C, B); }

cexpr(A) ::= CURRENT_DATE(B). { A = ast_keyword(p, B, -1); }
cexpr(A) ::= CURRENT_TIME(B). { A = ast_keyword(p, B, -1); }
cexpr(A) ::= CURRENT_TIMESTAMP(B). { A = ast_keyword(p, B, -1); }
cexpr(A) ::= CURRENT_TIMESTAMP(B) LP ICONST(C) RP. { A = ast_keyword(p, B, ast_digit(C)); }
cexpr(A) ::= LOCALTIME(B). { A = ast_keyword(p, B, -1); }
cexpr(A) ::= LOCALTIMESTAMP(B). { A = ast_keyword(p, B, -1); }
cexpr(A) ::= LOCALTIMESTAMP(B) LP ICONST(C) RP. { A = ast_keyword(p, B, ast_digit(C)); }
cexpr(A) ::= CURRENT_USER(B). { A = ast_keyword(p, B, -1); }
cexpr(A) ::= CURRENT_ROLE(B). { A = ast_keyword(p, B, -1); }
cexpr(A) ::= SESSION_USER(B). { A = ast_keyword(p, B, -1); }
cexpr(A) ::= USER(B). { A = ast_keyword(p, B, -1); }
cexpr(A) ::= CURRENT_CATALOG(B). { A = ast_keyword(p, B, -1); }
cexpr(A) ::= CURRENT_SCHEMA(B). { A = ast_keyword(p, B, -1); }
cexpr(A) ::= CURRENT_SCHEMA(B) LP RP. { A = ast_keyword(p, B, -1); }

%type func {struct ast_expr *}
%type args {struct ast_list *}
%type arg {struct ast_expr *}
%type within {struct ast_list *}
%type filter {struct ast_expr *}
%type over {struct ast_window *}
cexpr(A) ::= func(B) within(C) filter(D) over(E). { A = ast_call_with(p, B, C, D, E); }
cexpr(A) ::= func(B) SCONST(C). { A = ast_literal(p, ast_type_of_call(p, B), C); }
func(A) ::= qname(B) LP RP. { A = ast_call(p, B, NULL); }
func(A) ::= qname(B) LP args(C) orderopt(D) RP. { A = ast_call(p, B, C); A->call->order = D; }
func(A) ::= qname(B) LP args(C) COMMA VARIADIC arg(E) RP. {
    A = ast_call(p, B, ast_list_add(p, C, E));
    A->call->variadic = true;
}
func(A) ::= qname(B) LP VARIADIC arg(E) RP. {
    A = ast_call(p, B, ast_list_one(p, E));
    A->call->variadic = true;
}
func(A) ::= qname(B) LP ALL args(C) orderopt(D) RP. { A = ast_call(p, B, C); A->call->order = D; }
func(A) ::= qname(B) LP DISTINCT args(C) orderopt(D) RP. {
    A = ast_call(p, B, C);
    A->call->order = D;
    A->call->distinct = true;
}
func(A) ::= qname(B) LP STAR RP. { A = ast_call(p, B, NULL); A->call->star = true; }
func(A) ::= LEFT(B) LP args(C) RP. { A = ast_call_of(p, B.pos, "left", C); }
func(A) ::= RIGHT(B) LP args(C) RP. { A = ast_call_of(p, B.pos, "right", C); }
args(A) ::= arg(B). { A = ast_list_one(p, B); }
args(A) ::= args(B) COMMA arg(C). { A = ast_list_add(p, B, C); }
arg(A) ::= expr(B). { A = B; }
arg(A) ::= name(B) ARROW2 expr(C). { A = ast_named(p, B, C); }
arg(A) ::= name(B) COLON_EQUALS expr(C). { A = ast_named(p, B, C); }
arg(A) ::= TABLE(O) qname(B). { A = ast_expr_new(p, AST_TABLE_ARG, O.pos); A->name = B; }
arg(A) ::= TABLE(O) qname(B) PARTITION BY name. {
    A = ast_expr_new(p, AST_TABLE_ARG, O.pos);
    A->name = B;
}
arg(A) ::= TABLE(O) qname(B) PARTITION BY LP names RP. {
    A = ast_expr_new(p, AST_TABLE_ARG, O.pos);
    A->name = B;
}
arg(A) ::= DESCRIPTOR(O) LP name(B) RP. {
    A = ast_expr_new(p, AST_TABLE_ARG, O.pos);
    A->name = ast_name_new(p, B);
}
within(A) ::= . { A = NULL; }
within(A) ::= WITHIN_LA GROUP LP ORDER BY orders(B) RP. { A = B; }
filter(A) ::= . { A = NULL; }
filter(A) ::= FILTER LP WHERE expr(B) RP. { A = B; }
over(A) ::= . { A = NULL; }
over(A) ::= OVER(O) name(B). {
    A = ast_window_new(p, O.pos);
    A->by_name = true;
    A->name = B.text;
}
over(A) ::= OVER window(B). { A = B; }

%type window {struct ast_window *}
%type partopt {struct ast_list *}
%type base {struct ast_token}
window(A) ::= LP(O) base(B) partopt(C) orderopt(D) frameopt(F). {
    A = F;
    A->pos = O.pos;
    A->base = B.text;
    A->partition = C;
    A->order = D;
}
base(A) ::= . { A = NO_TOKEN; }
base(A) ::= IDENT(B). { A = B; }
partopt(A) ::= . { A = NULL; }
partopt(A) ::= PARTITION BY exprs(B). { A = B; }
%type frameopt {struct ast_window *}
%type unit {int}
%type bound {struct ast_bound}
%type exclude {int}
frameopt(A) ::= RP. { A = ast_window_new(p, 0); }
frameopt(A) ::= unit(U) bound(B) exclude(X) RP. {
    A = ast_window_new(p, 0);
    A->has_frame = true;
    A->unit = (char)U;
    A->start = B;
    A->end = (struct ast_bound){.edge = AST_CURRENT_ROW};
    A->exclude = (char)X;
}
frameopt(A) ::= unit(U) BETWEEN bound(B) AND bound(C) exclude(X) RP. {
    A = ast_window_new(p, 0);
    A->has_frame = true;
    A->unit = (char)U;
    A->start = B;
    A->end = C;
    A->exclude = (char)X;
}
unit(A) ::= RANGE. { A = 'R'; }
unit(A) ::= ROWS. { A = 'O'; }
unit(A) ::= GROUPS. { A = 'G'; }
bound(A) ::= UNBOUNDED PRECEDING. { A = (struct ast_bound){.edge = AST_UNBOUNDED_PRECEDING}; }
bound(A) ::= UNBOUNDED FOLLOWING. { A = (struct ast_bound){.edge = AST_UNBOUNDED_FOLLOWING}; }
bound(A) ::= CURRENT ROW. { A = (struct ast_bound){.edge = AST_CURRENT_ROW}; }
bound(A) ::= bexpr(B) PRECEDING. { A = (struct ast_bound){.edge = AST_PRECEDING, .value = B}; }
bound(A) ::= bexpr(B) FOLLOWING. { A = (struct ast_bound){.edge = AST_FOLLOWING, .value = B}; }
exclude(A) ::= . { A = 0; }
exclude(A) ::= EXCLUDE CURRENT ROW. { A = 'C'; }
exclude(A) ::= EXCLUDE GROUP. { A = 'G'; }
exclude(A) ::= EXCLUDE TIES. { A = 'T'; }
exclude(A) ::= EXCLUDE NO OTHERS. { A = 0; }

/* ---- SELECT ----------------------------------------------------------------- */

%type select_parens {struct ast_select *}
%type select_bare {struct ast_select *}
%type sclause {struct ast_select *}
%type simple {struct ast_select *}
%type with {struct ast_select *}
%type select_any {struct ast_select *}

select_any(A) ::= select_bare(B). [UMINUS] { A = B; }
select_any(A) ::= select_parens(B). [UMINUS] { A = B; }
select_parens(A) ::= LP select_bare(B) RP. { A = B; }
select_parens(A) ::= LP select_parens(B) RP. { A = B; }
select_bare(A) ::= simple(B). { A = B; }
select_bare(A) ::= sclause(B) ORDER BY orders(C). {
    A = B;
    ast_select_tail(p, A, C, (struct ast_limit){0}, NO_TOKEN);
}
select_bare(A) ::= sclause(B) orderopt(C) locking(D) limitopt(E). {
    A = B;
    ast_select_tail(p, A, C, E, D);
}
select_bare(A) ::= sclause(B) orderopt(C) limit(E) lockingopt(D). {
    A = B;
    ast_select_tail(p, A, C, E, D);
}
select_bare(A) ::= with(W) sclause(B). { A = ast_select_with(p, W, B); }
select_bare(A) ::= with(W) sclause(B) ORDER BY orders(C). {
    A = ast_select_with(p, W, B);
    ast_select_tail(p, A, C, (struct ast_limit){0}, NO_TOKEN);
}
select_bare(A) ::= with(W) sclause(B) orderopt(C) locking(D) limitopt(E). {
    A = ast_select_with(p, W, B);
    ast_select_tail(p, A, C, E, D);
}
select_bare(A) ::= with(W) sclause(B) orderopt(C) limit(E) lockingopt(D). {
    A = ast_select_with(p, W, B);
    ast_select_tail(p, A, C, E, D);
}
sclause(A) ::= simple(B). { A = B; }
sclause(A) ::= select_parens(B). { A = B; }

%type targets {struct ast_list *}
%type target {struct ast_target *}
%type fromcl {struct ast_list *}
%type where {struct ast_expr *}
%type having {struct ast_expr *}
%type groupby {struct ast_groupby}
%type groups {struct ast_list *}
%type group {struct ast_expr *}
%type windows {struct ast_list *}
%type windowdefs {struct ast_list *}
%type windowdef {struct ast_window *}
simple(A) ::= SELECT(O) allopt targets(T) fromcl(F) where(W) groupby(G) having(H) windows(N). {
    A = ast_select_simple(p, O.pos, T, F, W, G, H, N);
}
simple(A) ::= SELECT(O) allopt FROM frefs(F) where(W) groupby(G) having(H) windows(N). {
    A = ast_select_simple(p, O.pos, ast_list_new(p), F, W, G, H, N);
}
simple(A) ::= SELECT(O) DISTINCT targets(T) fromcl(F) where(W) groupby(G) having(H) windows(N). {
    A = ast_select_simple(p, O.pos, T, F, W, G, H, N);
    A->distinct = true;
}
simple(A) ::= SELECT(O) DISTINCT ON LP exprs(D) RP targets(T) fromcl(F) where(W) groupby(G)
    having(H) windows(N). {
    A = ast_select_simple(p, O.pos, T, F, W, G, H, N);
    A->distinct = true;
    A->distinct_on = D;
}
allopt ::= .
allopt ::= ALL.
simple(A) ::= VALUES(O) rows(B). { A = ast_select_new(p, O.pos); A->values = B; }
simple(A) ::= TABLE(O) qname(B). { A = ast_select_table(p, O, B); }
simple(A) ::= sclause(B) UNION(O) setall(S) sclause(C). {
    A = ast_select_set(p, O.pos, AST_UNION, S, B, C);
}
simple(A) ::= sclause(B) INTERSECT(O) setall(S) sclause(C). {
    A = ast_select_set(p, O.pos, AST_INTERSECT, S, B, C);
}
simple(A) ::= sclause(B) EXCEPT(O) setall(S) sclause(C). {
    A = ast_select_set(p, O.pos, AST_EXCEPT, S, B, C);
}
%type setall {int}
setall(A) ::= . { A = 0; }
setall(A) ::= ALL. { A = 1; }
setall(A) ::= DISTINCT. { A = 0; }
%type rows {struct ast_list *}
rows(A) ::= LP exprs(B) RP. { A = ast_list_one(p, B); }
rows(A) ::= rows(L) COMMA LP exprs(B) RP. { A = ast_list_add(p, L, B); }

with(A) ::= WITH(O) ctes(B). { A = ast_select_new(p, O.pos); A->ctes = B; }
with(A) ::= WITH(O) RECURSIVE ctes(B). {
    A = ast_select_new(p, O.pos);
    A->ctes = B;
    A->recursive = true;
}
%type ctes {struct ast_list *}
%type cte {struct ast_cte *}
%type material {int}
ctes(A) ::= cte(B). { A = ast_list_one(p, B); }
ctes(A) ::= ctes(B) COMMA cte(C). { A = ast_list_add(p, B, C); }
cte(A) ::= name(B) colsopt(C) AS material(M) LP select_any(S) RP. {
    A = ast_cte(p, B, C, (char)M, S);
}
material(A) ::= . { A = 0; }
material(A) ::= MATERIALIZED. { A = 'Y'; }
material(A) ::= NOT MATERIALIZED. { A = 'N'; }

targets(A) ::= target(B). { A = ast_list_one(p, B); }
targets(A) ::= targets(B) COMMA target(C). { A = ast_list_add(p, B, C); }
target(A) ::= STAR(O). {
    A = ast_target(p, ast_expr_new(p, AST_STAR, O.pos), NO_TOKEN);
}
target(A) ::= expr(B). { A = ast_target(p, B, NO_TOKEN); }
target(A) ::= expr(B) AS label(C). { A = ast_target(p, B, C); }
target(A) ::= expr(B) IDENT(C). { A = ast_target(p, B, C); }

fromcl(A) ::= . { A = NULL; }
fromcl(A) ::= FROM frefs(B). { A = B; }
%type frefs {struct ast_list *}
%type fref {struct ast_from *}
%type joined {struct ast_from *}
%type alias {struct ast_alias *}
%type aliasopt {struct ast_alias *}
%type sample {struct ast_sample}
%type repeatable {struct ast_expr *}
frefs(A) ::= fref(B). { A = ast_list_one(p, B); }
frefs(A) ::= frefs(B) COMMA fref(C). { A = ast_list_add(p, B, C); }
fref(A) ::= qname(B) systime aliasopt(C) sample(D). {
    A = ast_from_table(p, B, C);
    A->sample = D.call;
    A->sample_seed = D.seed;
}
fref(A) ::= ONLY qname(B) aliasopt(C). { A = ast_from_table(p, B, C); }
fref(A) ::= func(B) ordinality(O) aliasopt(C). { A = ast_from_function(p, B, O, C, false); }
fref(A) ::= LATERAL func(B) ordinality(O) aliasopt(C). { A = ast_from_function(p, B, O, C, true); }
fref(A) ::= ROWS FROM LP funcs(B) RP ordinality(O) aliasopt(C). {
    A = ast_from_function(p, ast_at(B, 0, struct ast_expr), O, C, false);
    A->functions = B;
}
%type funcs {struct ast_list *}
funcs(A) ::= func(B). { A = ast_list_one(p, B); }
funcs(A) ::= funcs(B) COMMA func(C). { A = ast_list_add(p, B, C); }
fref(A) ::= keyfunc(B) aliasopt(C). { A = ast_from_function(p, B, false, C, false); }
fref(A) ::= TABLE(O) LP func RP aliasopt. {
    ast_refuse(p, O.pos, "a window over a stream", AST_WINDOW_HINT);
    A = ast_from_table(p, ast_name_of(p, O.pos, NULL, "table"), NULL);
}
fref(A) ::= select_parens(B) aliasopt(C). { A = ast_from_select(p, B->pos, B, C, false); }
fref(A) ::= LATERAL(O) select_parens(B) aliasopt(C). { A = ast_from_select(p, O.pos, B, C, true); }
fref(A) ::= joined(B). { A = B; }
fref(A) ::= LP(O) joined(B) RP alias(C). {
    A = ast_from_select(p, O.pos, ast_select_from(p, O.pos, B), C, false);
}
joined(A) ::= LP joined(B) RP. { A = B; }
joined(A) ::= fref(B) CROSS(O) JOIN fref(C). {
    A = ast_from_join(p, O.pos, AST_JOIN_CROSS, B, C);
}
joined(A) ::= fref(B) joinkind(K) JOIN(O) fref(C) joinqual(Q). {
    A = ast_from_join(p, O.pos, K, B, C);
    ast_from_qualify(A, Q);
}
joined(A) ::= fref(B) JOIN(O) fref(C) joinqual(Q). {
    A = ast_from_join(p, O.pos, AST_JOIN_INNER, B, C);
    ast_from_qualify(A, Q);
}
joined(A) ::= fref(B) NATURAL(O) joinkind(K) JOIN fref(C). {
    A = ast_from_join(p, O.pos, K, B, C);
    A->natural = true;
}
joined(A) ::= fref(B) NATURAL(O) JOIN fref(C). {
    A = ast_from_join(p, O.pos, AST_JOIN_INNER, B, C);
    A->natural = true;
}
joined(A) ::= fref(B) ASOF(O) JOIN fref joinqual. {
    ast_refuse(p, O.pos, "ASOF JOIN", "LATERAL with ORDER BY and LIMIT 1 finds the nearest row.");
    A = B;
}
joined(A) ::= fref(B) ASOF(O) LEFT JOIN fref joinqual. {
    ast_refuse(p, O.pos, "ASOF JOIN", "LATERAL with ORDER BY and LIMIT 1 finds the nearest row.");
    A = B;
}
%type joinkind {enum ast_join_kind}
joinkind(A) ::= INNER. { A = AST_JOIN_INNER; }
joinkind(A) ::= LEFT outeropt. { A = AST_JOIN_LEFT; }
joinkind(A) ::= RIGHT outeropt. { A = AST_JOIN_RIGHT; }
joinkind(A) ::= FULL outeropt. { A = AST_JOIN_FULL; }
outeropt ::= .
outeropt ::= OUTER.
%type joinqual {struct ast_join_qual}
joinqual(A) ::= ON expr(B). { A = (struct ast_join_qual){.on = B}; }
joinqual(A) ::= USING LP names(B) RP. { A = (struct ast_join_qual){.columns = B}; }
joinqual(A) ::= WITHIN(O) bexpr ON expr(B). {
    ast_refuse(p, O.pos, "JOIN ... WITHIN", "Compare the times in the join's ON condition.");
    A = (struct ast_join_qual){.on = B};
}
systime ::= .
systime ::= FOR_LA(O) SYSTEM_TIME AS OF instant. {
    ast_refuse(p, O.pos, "FOR SYSTEM_TIME", "Conditions on _timestamp and _offset read a part of a topic.");
}
instant ::= qname.
instant ::= SCONST.
instant ::= PARAM.
instant ::= TIMESTAMP SCONST.
%type ordinality {int}
ordinality(A) ::= . { A = 0; }
ordinality(A) ::= WITH_LA ORDINALITY. { A = 1; }
/* Functions that are keywords and may stand in FROM. */
%type keyfunc {struct ast_expr *}
keyfunc(A) ::= CURRENT_SCHEMA(B) LP RP. { A = ast_keyword(p, B, -1); }
keyfunc(A) ::= CURRENT_USER(B). { A = ast_keyword(p, B, -1); }
keyfunc(A) ::= CURRENT_DATE(B). { A = ast_keyword(p, B, -1); }
aliasopt(A) ::= . { A = NULL; }
aliasopt(A) ::= alias(B). { A = B; }
alias(A) ::= AS name(B). { A = ast_alias(p, B, NULL); }
alias(A) ::= IDENT(B). { A = ast_alias(p, B, NULL); }
alias(A) ::= AS name(B) LP names(C) RP. { A = ast_alias(p, B, C); }
alias(A) ::= IDENT(B) LP names(C) RP. { A = ast_alias(p, B, C); }
alias(A) ::= AS name(B) LP coldefs(C) RP. { A = ast_alias(p, B, NULL); A->types = C; }
alias(A) ::= IDENT(B) LP coldefs(C) RP. { A = ast_alias(p, B, NULL); A->types = C; }
alias(A) ::= AS(O) LP coldefs(C) RP. {
    A = ast_alias(p, NO_TOKEN, NULL);
    A->types = C;
    A->pos = O.pos;
}
%type coldefs {struct ast_list *}
%type coldef {struct ast_column_def *}
coldefs(A) ::= coldef(B). { A = ast_list_one(p, B); }
coldefs(A) ::= coldefs(B) COMMA coldef(C). { A = ast_list_add(p, B, C); }
coldef(A) ::= name(B) type(C). { A = ast_column_def(p, B, C); }
sample(A) ::= . { A = (struct ast_sample){0}; }
sample(A) ::= TABLESAMPLE qname(B) LP exprs(C) RP repeatable(D). {
    A = (struct ast_sample){ast_call(p, B, C), D};
}
repeatable(A) ::= . { A = NULL; }
repeatable(A) ::= REPEATABLE LP expr(B) RP. { A = B; }

where(A) ::= . { A = NULL; }
where(A) ::= WHERE expr(B). { A = B; }
groupby(A) ::= . { A = (struct ast_groupby){0}; }
groupby(A) ::= GROUP BY groups(B). { A = (struct ast_groupby){.items = B}; }
groupby(A) ::= GROUP BY DISTINCT groups(B). { A = (struct ast_groupby){B, true}; }
groupby(A) ::= GROUP BY ALL groups(B). { A = (struct ast_groupby){.items = B}; }
groups(A) ::= group(B). { A = ast_list_one(p, B); }
groups(A) ::= groups(B) COMMA group(C). { A = ast_list_add(p, B, C); }
group(A) ::= expr(B). { A = B; }
group(A) ::= LP(O) RP. { A = ast_listed(p, AST_ROW, O.pos, ast_list_new(p)); }
group(A) ::= GROUPING(O) SETS LP groups(B) RP. {
    A = ast_listed(p, AST_SET, O.pos, B);
    A->text = OX_STR("sets");
}
having(A) ::= . { A = NULL; }
having(A) ::= HAVING expr(B). { A = B; }
windows(A) ::= . { A = NULL; }
windows(A) ::= WINDOW windowdefs(B). { A = B; }
windowdefs(A) ::= windowdef(B). { A = ast_list_one(p, B); }
windowdefs(A) ::= windowdefs(B) COMMA windowdef(C). { A = ast_list_add(p, B, C); }
windowdef(A) ::= name(B) AS window(C). { A = C; A->name = B.text; }

%type orderopt {struct ast_list *}
%type orders {struct ast_list *}
%type order {struct ast_order *}
%type nulls {int}
orderopt(A) ::= . { A = NULL; }
orderopt(A) ::= ORDER BY orders(B). { A = B; }
orders(A) ::= order(B). { A = ast_list_one(p, B); }
orders(A) ::= orders(B) COMMA order(C). { A = ast_list_add(p, B, C); }
order(A) ::= expr(B) nulls(N). { A = ast_order(p, B, false, (char)N); }
order(A) ::= expr(B) ASC nulls(N). { A = ast_order(p, B, false, (char)N); }
order(A) ::= expr(B) DESC nulls(N). { A = ast_order(p, B, true, (char)N); }
order(A) ::= expr(B) USING anyop(O) nulls(N). {
    A = ast_order(p, B, STR_IS(O, ">"), (char)N);
    if (!STR_IS(O, ">") && !STR_IS(O, "<"))
        ast_fail(p, OX_WRONG_OBJECT_TYPE, O.pos, "operator %.*s is not an ordering operator",
            OX_STR_ARG(O.text));
}
nulls(A) ::= . { A = 0; }
nulls(A) ::= NULLS_LA FIRST. { A = 'F'; }
nulls(A) ::= NULLS_LA LAST. { A = 'L'; }

%type limit {struct ast_limit}
%type limitopt {struct ast_limit}
%type limitval {struct ast_limit}
%type offsetval {struct ast_expr *}
limitopt(A) ::= . { A = (struct ast_limit){0}; }
limitopt(A) ::= limit(B). { A = B; }
limit(A) ::= limitval(B). { A = B; }
limit(A) ::= offsetval(B). { A = (struct ast_limit){.offset = B}; }
limit(A) ::= limitval(B) offsetval(C). { A = B; A.offset = C; }
limit(A) ::= offsetval(C) limitval(B). { A = B; A.offset = C; }
limitval(A) ::= LIMIT expr(B). { A = (struct ast_limit){.limit = B}; }
limitval(A) ::= LIMIT ALL. { A = (struct ast_limit){0}; }
limitval(A) ::= FETCH(O) firstnext roworrows onlyties(T). {
    struct ast_token one = {.text = OX_STR("1"), .pos = O.pos, .end = O.end};
    A = (struct ast_limit){.limit = ast_leaf(p, AST_INTEGER, one), .ties = T};
}
limitval(A) ::= FETCH firstnext bexpr(B) roworrows onlyties(T). {
    A = (struct ast_limit){.limit = B, .ties = T};
}
firstnext ::= FIRST.
firstnext ::= NEXT.
roworrows ::= ROW.
roworrows ::= ROWS.
%type onlyties {int}
onlyties(A) ::= ONLY. { A = 0; }
onlyties(A) ::= WITH TIES. { A = 1; }
offsetval(A) ::= OFFSET expr(B). { A = B; }
offsetval(A) ::= OFFSET expr(B) roworrows. { A = B; }

%type locking {struct ast_token}
%type lockingopt {struct ast_token}
lockingopt(A) ::= . { A = NO_TOKEN; }
lockingopt(A) ::= locking(B). { A = B; }
locking(A) ::= FOR(O) strength lockof lockwait. { A = O; }
locking(A) ::= FOR READ ONLY. { A = NO_TOKEN; }
strength ::= UPDATE.
strength ::= NO KEY UPDATE.
strength ::= SHARE.
strength ::= KEY SHARE.
lockof ::= .
lockof ::= OF qnames.
lockwait ::= .
lockwait ::= NOWAIT.
lockwait ::= SKIP LOCKED.

stmt(A) ::= select_any(B). { A = ast_stmt_new(p, AST_SELECT_STMT, B->pos); A->select = B; }
stmt(A) ::= select_any(B) emit. {
    A = ast_stmt_new(p, AST_SUBSCRIBE_STMT, B->pos);
    A->subscribe = ast_subscribe_new(p, B->pos);
    A->subscribe->select = B;
}
stmt(A) ::= select_any(B) emit LIMIT expr(C). { /* as ksqlDB writes it */
    A = ast_stmt_new(p, AST_SUBSCRIBE_STMT, B->pos);
    A->subscribe = ast_subscribe_new(p, B->pos);
    A->subscribe->select = B;
    A->subscribe->limit = C;
}
emit ::= EMIT CHANGES lateopts.
emit ::= EMIT(O) ON WINDOW CLOSE timeoutopt lateopts. {
    ast_refuse(p, O.pos, "EMIT ON WINDOW CLOSE", "SUBSCRIBE follows a topic or a SELECT from one; EMIT CHANGES is the same.");
}
emit ::= EMIT(O) EVERY expr lateopts. {
    ast_refuse(p, O.pos, "EMIT EVERY", "SUBSCRIBE follows a topic or a SELECT from one; EMIT CHANGES is the same.");
}
timeoutopt ::= .
timeoutopt ::= WITH TIMEOUT expr.
lateopts ::= .
lateopts ::= lateopts late.
late ::= GRACE(O) expr. {
    ast_refuse(p, O.pos, "GRACE", "SUBSCRIBE follows a topic or a SELECT from one; EMIT CHANGES is the same.");
}
late ::= LATE(O) ROWS laterows. {
    ast_refuse(p, O.pos, "LATE ROWS", "SUBSCRIBE follows a topic or a SELECT from one; EMIT CHANGES is the same.");
}
laterows ::= DROP.
laterows ::= UPDATE.
laterows ::= INTO qname.

/* ---- SUBSCRIBE ---------------------------------------------------------------- */

%type subscribe {struct ast_subscribe *}
%type subtarget {struct ast_subscribe *}
%type groupopt {struct ast_token}
%type fromopt {struct ast_position}
%type untilopt {struct ast_position}
%type pos {struct ast_position}
%type partsopt {struct ast_list *}
%type parts {struct ast_list *}
%type part {struct ast_range *}
%type envopt {struct ast_token}
%type sublimit {struct ast_expr *}
%type withopt {struct ast_list *}
%type opts {struct ast_list *}
%type opt {struct ast_option *}
stmt(A) ::= subscribe(B). { A = ast_stmt_new(p, AST_SUBSCRIBE_STMT, B->pos); A->subscribe = B; }
subscribe(A) ::= SUBSCRIBE(O) toword subtarget(T) groupopt(G) fromopt(F) untilopt(U) partsopt(P)
    envopt(E) sublimit(L) withopt(W). {
    A = T;
    A->pos = O.pos;
    A->group = G;
    A->from = F;
    A->until = U;
    A->partitions = P;
    A->envelope = E;
    A->limit = L;
    A->options = W;
}
toword ::= .
toword ::= TO.
subtarget(A) ::= qname(B) colsopt(C) where(D). {
    A = ast_subscribe_new(p, B->pos);
    A->table = B;
    A->columns = C;
    A->where = D;
}
subtarget(A) ::= select_parens(B). { A = ast_subscribe_new(p, B->pos); A->select = B; }
groupopt(A) ::= . { A = NO_TOKEN; }
groupopt(A) ::= GROUP(O) gname. { A = O; }
groupopt(A) ::= GROUP(O) gname MEMBER gname. { A = O; }
fromopt(A) ::= . { A = (struct ast_position){0}; }
fromopt(A) ::= FROM(O) pos(B). { A = B; A.pos = O.pos; }
pos(A) ::= EARLIEST. { A = (struct ast_position){.kind = AST_AT_EARLIEST}; }
pos(A) ::= LATEST. { A = (struct ast_position){.kind = AST_AT_LATEST}; }
pos(A) ::= COMMITTED. { A = (struct ast_position){.kind = AST_AT_COMMITTED}; }
pos(A) ::= COMMITTED ELSE elsepos. { A = (struct ast_position){.kind = AST_AT_COMMITTED}; }
elsepos ::= EARLIEST.
elsepos ::= LATEST.
elsepos ::= ERROR.
pos(A) ::= OFFSET expr(B). { A = (struct ast_position){.kind = AST_AT_OFFSET, .value = B}; }
pos(A) ::= OFFSETS expr(B). { A = (struct ast_position){.kind = AST_AT_OFFSETS, .value = B}; }
pos(A) ::= TIMESTAMP expr(B). { A = (struct ast_position){.kind = AST_AT_TIMESTAMP, .value = B}; }
pos(A) ::= LAST expr(B). { A = (struct ast_position){.kind = AST_AT_LAST_TIME, .value = B}; }
pos(A) ::= LAST expr(B) ROWS. { A = (struct ast_position){.kind = AST_AT_LAST_ROWS, .value = B}; }
pos(A) ::= TOKEN expr(B). { A = (struct ast_position){.kind = AST_AT_TOKEN, .value = B}; }
untilopt(A) ::= . { A = (struct ast_position){0}; }
untilopt(A) ::= UNTIL(O) LATEST. { A = (struct ast_position){.kind = AST_AT_LATEST, .pos = O.pos}; }
untilopt(A) ::= UNTIL(O) OFFSET expr(B). {
    A = (struct ast_position){.kind = AST_AT_OFFSET, .value = B, .pos = O.pos};
}
untilopt(A) ::= UNTIL(O) OFFSETS expr(B). {
    A = (struct ast_position){.kind = AST_AT_OFFSETS, .value = B, .pos = O.pos};
}
untilopt(A) ::= UNTIL(O) TIMESTAMP expr(B). {
    A = (struct ast_position){.kind = AST_AT_TIMESTAMP, .value = B, .pos = O.pos};
}
untilopt(A) ::= UNTIL(O) IDLE expr(B). {
    A = (struct ast_position){.kind = AST_AT_IDLE, .value = B, .pos = O.pos};
}
partsopt(A) ::= . { A = NULL; }
partsopt(A) ::= PARTITIONS LP parts(B) RP. { A = B; }
parts(A) ::= part(B). { A = ast_list_one(p, B); }
parts(A) ::= parts(B) COMMA part(C). { A = ast_list_add(p, B, C); }
part(A) ::= ICONST(B). { A = ast_range(p, B, B); }
part(A) ::= ICONST(B) MINUS ICONST(C). { A = ast_range(p, B, C); }
envopt(A) ::= . { A = NO_TOKEN; }
envopt(A) ::= ENVELOPE NONE. { A = NO_TOKEN; }
envopt(A) ::= ENVELOPE DIFF(B). { A = B; }
envopt(A) ::= ENVELOPE UPSERT(B) keyopt. { A = B; }
envopt(A) ::= ENVELOPE DEBEZIUM(B) keyopt. { A = B; }
keyopt ::= .
keyopt ::= KEY LP names RP.
sublimit(A) ::= . { A = NULL; }
sublimit(A) ::= LIMIT expr(B). { A = B; }
withopt(A) ::= . { A = NULL; }
withopt(A) ::= WITH LP opts(B) RP. { A = B; }
opts(A) ::= opt(B). { A = ast_list_one(p, B); }
opts(A) ::= opts(B) COMMA opt(C). { A = ast_list_add(p, B, C); }
opt(A) ::= optname(B) EQ expr(C). { A = ast_option(p, B, C); }
opt(A) ::= optname(B) EQ ON(C). { A = ast_option(p, B, ast_bool(p, C.pos, true)); }
opt(A) ::= optname(B). { A = ast_option(p, B, NULL); }
%type optname {struct ast_token}
optname(A) ::= label(B). { A = B; }
optname(A) ::= optname(B) DOT label(C). { A = ast_dotted(p, B, C); }

/* ---- INSERT, COPY ---------------------------------------------------------------- */

%type insert {struct ast_insert *}
%type source {struct ast_insert *}
%type asopt {struct ast_token}
%type conflictopt {struct ast_token}
%type returning {struct ast_list *}
stmt(A) ::= insert(B). { A = ast_stmt_new(p, AST_INSERT, 0); A->insert = B; }
stmt(A) ::= with(W) insert(B). {
    A = ast_stmt_new(p, AST_INSERT, 0);
    A->insert = B;
    if (B->select != NULL)
        B->select = ast_select_with(p, W, B->select);
}
insert(A) ::= INSERT INTO qname(B) asopt(C) source(D) conflictopt(E) returning(R). {
    A = D;
    A->table = B;
    A->alias = C.text;
    A->conflict = E;
    A->returning = R;
}
asopt(A) ::= . { A = NO_TOKEN; }
asopt(A) ::= AS name(B). { A = B; }
source(A) ::= select_any(B). { A = ast_insert_new(p, NULL, B); }
source(A) ::= LP names(C) RP select_any(B). { A = ast_insert_new(p, C, B); }
source(A) ::= DEFAULT VALUES. { A = ast_insert_new(p, NULL, NULL); }
conflictopt(A) ::= . { A = NO_TOKEN; }
conflictopt(A) ::= ON(O) CONFLICT conflicttarget DO doing. { A = O; }
conflicttarget ::= .
conflicttarget ::= LP exprs RP.
conflicttarget ::= ON CONSTRAINT name.
doing ::= names.
doing ::= UPDATE SET assigns where.
assigns ::= assign.
assigns ::= assigns COMMA assign.
assign ::= qname EQ expr.
returning(A) ::= . { A = NULL; }
returning(A) ::= RETURNING targets(B). { A = B; }

%type copy {struct ast_copy *}
%type copysource {struct ast_copy *}
%type copytable {struct ast_copy *}
%type copyfile {struct ast_token}
%type copyopts {struct ast_list *}
%type copyopt {struct ast_option *}
%type coptlist {struct ast_list *}
%type copt {struct ast_option *}
stmt(A) ::= COPY(O) copytable(B) FROM copyfile(C) withword copyopts(D) where(W). {
    A = ast_copy(p, O.pos, B, true, C, D, W);
}
stmt(A) ::= COPY(O) copysource(B) TO copyfile(C) withword copyopts(D). {
    A = ast_copy(p, O.pos, B, false, C, D, NULL);
}
copysource(A) ::= copytable(B). { A = B; }
copytable(A) ::= qname(B) colsopt(C). { A = ast_copy_new(p); A->table = B; A->columns = C; }
copysource(A) ::= LP select_bare(B) RP. { A = ast_copy_new(p); A->select = B; }
copysource(A) ::= LP subscribe(B) RP. { A = ast_copy_new(p); A->subscribe = B; }
copyfile(A) ::= STDIN. { A = NO_TOKEN; }
copyfile(A) ::= STDOUT. { A = NO_TOKEN; }
copyfile(A) ::= SCONST(B). { A = B; }
copyfile(A) ::= PROGRAM SCONST(B). { A = B; }
withword ::= .
withword ::= WITH.
copyopts(A) ::= LP coptlist(B) RP. { A = B; }
copyopts(A) ::= . { A = NULL; }
copyopts(A) ::= copyopts(B) copyopt(C). { A = ast_list_add(p, B, C); }
copyopt(A) ::= BINARY(B). { A = ast_option_word(p, B, "format", "binary"); }
copyopt(A) ::= CSV(B). { A = ast_option_word(p, B, "format", "csv"); }
copyopt(A) ::= FREEZE(B). { A = ast_option_word(p, B, "freeze", "true"); }
copyopt(A) ::= HEADER(B). { A = ast_option_word(p, B, "header", "true"); }
copyopt(A) ::= DELIMITER(B) asword SCONST(C). { A = ast_option(p, B, ast_leaf(p, AST_STRING, C)); }
copyopt(A) ::= NULL(B) asword SCONST(C). { A = ast_option(p, B, ast_leaf(p, AST_STRING, C)); }
copyopt(A) ::= QUOTE(B) asword SCONST(C). { A = ast_option(p, B, ast_leaf(p, AST_STRING, C)); }
copyopt(A) ::= ESCAPE(B) asword SCONST(C). { A = ast_option(p, B, ast_leaf(p, AST_STRING, C)); }
copyopt(A) ::= ENCODING(B) SCONST(C). { A = ast_option(p, B, ast_leaf(p, AST_STRING, C)); }
copyopt(A) ::= FORCE(B) QUOTE names(C). { A = ast_option_list(p, B, "force_quote", C); }
copyopt(A) ::= FORCE(B) QUOTE STAR. { A = ast_option_list(p, B, "force_quote", NULL); }
copyopt(A) ::= FORCE(B) NOT NULL names(C). { A = ast_option_list(p, B, "force_not_null", C); }
copyopt(A) ::= FORCE(B) NULL names(C). { A = ast_option_list(p, B, "force_null", C); }
asword ::= .
asword ::= AS.
coptlist(A) ::= copt(B). { A = ast_list_one(p, B); }
coptlist(A) ::= coptlist(B) COMMA copt(C). { A = ast_list_add(p, B, C); }
copt(A) ::= label(B). { A = ast_option(p, B, NULL); }
copt(A) ::= label(B) eqword setval(C). { A = ast_option(p, B, C); }
copt(A) ::= label(B) STAR. { A = ast_option_list(p, B, NULL, NULL); }
copt(A) ::= label(B) LP names(C) RP. { A = ast_option_list(p, B, NULL, C); }
eqword ::= .
eqword ::= EQ.

/* ---- Topics ------------------------------------------------------------------------ */

%type topicopts {struct ast_create_topic *}
stmt(A) ::= CREATE(O) TOPIC ifnot(I) qname(B) topicopts(C). {
    A = ast_stmt_new(p, AST_CREATE_TOPIC, O.pos);
    A->create_topic = C;
    C->name = B;
    C->if_not_exists = I;
}
%type ifnot {int}
ifnot(A) ::= . { A = 0; }
ifnot(A) ::= IF NOT EXISTS. { A = 1; }
topicopts(A) ::= . { A = ast_create_topic(p); }
topicopts(A) ::= LP(O) topiccols RP. {
    A = ast_create_topic(p);
    A->columns = ast_list_one(p, ast_token_copy(p, O));
}
topicopts(A) ::= topicopts(B) KEY(O) LP names RP. { A = ast_create_refuse(B, O); }
topicopts(A) ::= topicopts(B) KEY(O) LP names RP FORMAT label. { A = ast_create_refuse(B, O); }
topicopts(A) ::= topicopts(B) KEY FORMAT label(C). { A = ast_create_format(p, B, C); }
topicopts(A) ::= topicopts(B) VALUE FORMAT label(C). { A = ast_create_format(p, B, C); }
topicopts(A) ::= topicopts(B) PARTITIONS bexpr(C). { A = B; A->partitions = C; }
topicopts(A) ::= topicopts(B) PARTITION(O) BY label LP names RP. { A = ast_create_refuse(B, O); }
topicopts(A) ::= topicopts(B) REPLICAS bexpr(C). { A = B; A->replicas = C; }
topicopts(A) ::= topicopts(B) RETAIN retains(C). {
    A = B;
    if (C.bytes != NULL)
        A->retain_size = C.bytes;
    if (C.time != NULL)
        A->retain_for = C.time;
    A->retain_all |= C.all;
}
topicopts(A) ::= topicopts(B) WATERMARK(O) FOR name AS expr idleopt. { A = ast_create_refuse(B, O); }
topicopts(A) ::= topicopts(B) ON(O) ERROR name. { A = ast_create_refuse(B, O); }
topicopts(A) ::= topicopts(B) ON(O) ERROR INTO qname. { A = ast_create_refuse(B, O); }
topicopts(A) ::= topicopts(B) WITH LP opts(C) RP. { A = B; A->options = C; }
idleopt ::= .
idleopt ::= IDLE AFTER expr.
%type retains {struct ast_retain}
%type retain {struct ast_retain}
retains(A) ::= retain(B). { A = B; }
retains(A) ::= retains(B) retain(C). { A = ast_retain_add(p, B, C); }
retain(A) ::= FOR(O) bexpr(B). { A = (struct ast_retain){.time = B, .pos = O.pos}; }
retain(A) ::= SIZE(O) bexpr(B). { A = (struct ast_retain){.bytes = B, .pos = O.pos}; }
retain(A) ::= ALL(O). { A = (struct ast_retain){.all = true, .pos = O.pos}; }
topiccols ::= topiccol.
topiccols ::= topiccols COMMA topiccol.
topiccol ::= name type colconstraints.
topiccol ::= WATERMARK FOR name AS expr.
topiccol ::= PRIMARY KEY LP names RP.
colconstraints ::= .
colconstraints ::= colconstraints NOT NULL.
colconstraints ::= colconstraints NULL.
colconstraints ::= colconstraints DEFAULT bexpr.
colconstraints ::= colconstraints PRIMARY KEY.
colconstraints ::= colconstraints FROM KEY.
colconstraints ::= colconstraints FROM VALUE.
colconstraints ::= colconstraints FROM TIMESTAMP.
colconstraints ::= colconstraints FROM HEADER SCONST.

%type alter {struct ast_alter_topic *}
%type ifex {int}
stmt(A) ::= ALTER(O) TOPIC ifex(I) qname(B) alter(C). {
    A = ast_stmt_new(p, AST_ALTER_TOPIC, O.pos);
    A->alter_topic = C;
    C->name = B;
    C->if_exists = I;
}
ifex(A) ::= . { A = 0; }
ifex(A) ::= IF EXISTS. { A = 1; }
alter(A) ::= ADD PARTITIONS bexpr(B). {
    A = ast_alter_topic(p, AST_ADD_PARTITIONS);
    A->number = B;
}
alter(A) ::= SET PARTITIONS bexpr(B). {
    A = ast_alter_topic(p, AST_SET_PARTITIONS);
    A->number = B;
}
alter(A) ::= SET LP opts(B) RP. { A = ast_alter_topic(p, AST_SET_OPTIONS); A->options = B; }
alter(A) ::= RESET LP opts(B) RP. { A = ast_alter_topic(p, AST_RESET_OPTIONS); A->options = B; }
alter(A) ::= RENAME(O) TO name. { A = ast_alter_refuse(p, O, "RENAME"); }
alter(A) ::= OWNER(O) TO name. { A = ast_alter_refuse(p, O, "OWNER TO"); }
alter(A) ::= SET REPLICAS(O) bexpr. { A = ast_alter_refuse(p, O, "SET REPLICAS"); }
alter(A) ::= ADD COLUMN(O) name type colconstraints. { A = ast_alter_refuse(p, O, "ADD COLUMN"); }
alter(A) ::= DROP COLUMN(O) name. { A = ast_alter_refuse(p, O, "DROP COLUMN"); }
alter(A) ::= ALTER COLUMN(O) name type. { A = ast_alter_refuse(p, O, "ALTER COLUMN"); }
alter(A) ::= RETAIN retains(C). {
    A = ast_alter_topic(p, AST_RETAIN);
    A->retain_for = C.time;
    A->retain_size = C.bytes;
    A->retain_all = C.all;
}
stmt(A) ::= DROP(O) TOPIC ifex(I) qnames(B) behavior. {
    A = ast_stmt_new(p, AST_DROP_TOPIC, O.pos);
    A->drop.names = B;
    A->drop.if_exists = I;
}
behavior ::= .
behavior ::= CASCADE.
behavior ::= RESTRICT.
stmt(A) ::= TRUNCATE(O) topicword qnames(B) behavior. {
    A = ast_stmt_new(p, AST_TRUNCATE, O.pos);
    A->drop.names = B;
}
stmt(A) ::= DELETE(O) FROM qname(B) where(W). {
    A = ast_stmt_new(p, AST_DELETE, O.pos);
    A->delete.name = B;
    A->delete.where = W;
}
topicword ::= .
topicword ::= TABLE.
topicword ::= TOPIC.
stmt(A) ::= DESCRIBE(O) topicword qname(B). {
    A = ast_stmt_new(p, AST_DESCRIBE, O.pos);
    A->drop.names = ast_list_one(p, B);
}
stmt(A) ::= COMMENT(O) ON TOPIC qname(B) IS SCONST(C). {
    A = ast_stmt_new(p, AST_COMMENT, O.pos);
    A->comment.name = B;
    A->comment.text = C.text;
}
stmt(A) ::= COMMENT(O) ON TOPIC qname(B) IS NULL. {
    A = ast_stmt_new(p, AST_COMMENT, O.pos);
    A->comment.name = B;
    A->comment.text = OX_STR_NULL;
}

/* ---- Roles and rights ------------------------------------------------------------------
 * Their many small words stay words: roles.c reads them. */

%type word {struct ast_word *}
%type words {struct ast_list *}
%type optwords {struct ast_list *}
optwords(A) ::= . { A = NULL; }
optwords(A) ::= words(B). { A = B; }
words(A) ::= word(B). { A = ast_list_one(p, B); }
words(A) ::= words(B) word(C). { A = ast_list_add(p, B, C); }
word(A) ::= name(B). { A = ast_word(p, B, 'w'); }
word(A) ::= SCONST(B). { A = ast_word(p, B, 's'); }
word(A) ::= ICONST(B). { A = ast_word(p, B, 'n'); }
word(A) ::= FCONST(B). { A = ast_word(p, B, 'n'); }
word(A) ::= COMMA. { A = ast_word_of(p, ","); }
word(A) ::= DOT. { A = ast_word_of(p, "."); }
word(A) ::= EQ. { A = ast_word_of(p, "="); }
word(A) ::= STAR. { A = ast_word_of(p, "*"); }
word(A) ::= MINUS. { A = ast_word_of(p, "-"); }
word(A) ::= LP. { A = ast_word_of(p, "("); }
word(A) ::= RP. { A = ast_word_of(p, ")"); }
word(A) ::= ALL. { A = ast_word_of(p, "all"); }
word(A) ::= CREATE. { A = ast_word_of(p, "create"); }
word(A) ::= SELECT. { A = ast_word_of(p, "select"); }
word(A) ::= GROUP. { A = ast_word_of(p, "group"); }
word(A) ::= TABLE. { A = ast_word_of(p, "table"); }
word(A) ::= IN. { A = ast_word_of(p, "in"); }
word(A) ::= WITH. { A = ast_word_of(p, "with"); }
word(A) ::= GRANT. { A = ast_word_of(p, "grant"); }
word(A) ::= NULL. { A = ast_word_of(p, "null"); }
word(A) ::= FOR. { A = ast_word_of(p, "for"); }
word(A) ::= USER. { A = ast_word_of(p, "user"); }
word(A) ::= DESCRIBE. { A = ast_word_of(p, "describe"); }
word(A) ::= DEFAULT. { A = ast_word_of(p, "default"); }
%type setword {struct ast_word *}
%type setwords {struct ast_list *}
setwords(A) ::= setword(B). { A = ast_list_one(p, B); }
setwords(A) ::= setwords(B) setword(C). { A = ast_list_add(p, B, C); }
setword(A) ::= word(B). { A = B; }
setword(A) ::= TO. { A = ast_word_of(p, "to"); }
%type roleword {int}
roleword(A) ::= ROLE. { A = 0; }
roleword(A) ::= USER. { A = 1; }
stmt(A) ::= CREATE(O) roleword(U) name(B) optwords(C). {
    A = ast_role(p, O.pos, AST_CREATE_ROLE, ast_list_one(p, ast_token_copy(p, B)), C);
    A->role.user = U;
}
stmt(A) ::= ALTER(O) roleword name(B) setwords(C). {
    A = ast_role(p, O.pos, AST_ALTER_ROLE, ast_list_one(p, ast_token_copy(p, B)), C);
}
stmt(A) ::= DROP(O) roleword ifex(I) names(B). {
    A = ast_role(p, O.pos, AST_DROP_ROLE, B, NULL);
    A->role.if_exists = I;
}
stmt(A) ::= ALTER(O) QUOTA setwords(B). { A = ast_role(p, O.pos, AST_ALTER_QUOTA, NULL, B); }
stmt(A) ::= GRANT(O) words(B) ON words(C) TO words(D). { A = ast_grant(p, O.pos, AST_GRANT, B, C, D); }
stmt(A) ::= REVOKE(O) words(B) ON words(C) FROM words(D). {
    A = ast_grant(p, O.pos, AST_REVOKE, B, C, D);
}
stmt(A) ::= GRANT(O) words(B) TO words(D). { A = ast_grant(p, O.pos, AST_GRANT, B, NULL, D); }
stmt(A) ::= REVOKE(O) words(B) FROM words(D). { A = ast_grant(p, O.pos, AST_REVOKE, B, NULL, D); }

/* ---- Settings -------------------------------------------------------------------------- */

%type setvals {struct ast_list *}
%type setval {struct ast_expr *}
%type varname {struct ast_token}
varname(A) ::= name(B). { A = B; }
varname(A) ::= varname(B) DOT label(C). { A = ast_dotted(p, B, C); }
toeq ::= TO.
toeq ::= EQ.
setvals(A) ::= DEFAULT. { A = NULL; }
setvals(A) ::= setlist(B). { A = B; }
%type setlist {struct ast_list *}
setlist(A) ::= setval(B). { A = ast_list_one(p, B); }
setlist(A) ::= setlist(B) COMMA setval(C). { A = ast_list_add(p, B, C); }
setval(A) ::= SCONST(B). { A = ast_leaf(p, AST_STRING, B); }
setval(A) ::= name(B). { A = ast_leaf(p, AST_STRING, B); }
setval(A) ::= BINARY(B). { A = ast_leaf(p, AST_STRING, B); }
setval(A) ::= ON(B). { A = ast_leaf(p, AST_STRING, B); }
setval(A) ::= TRUE(B). { A = ast_leaf(p, AST_STRING, B); }
setval(A) ::= FALSE(B). { A = ast_leaf(p, AST_STRING, B); }
setval(A) ::= ICONST(B). { A = ast_leaf(p, AST_INTEGER, B); }
setval(A) ::= FCONST(B). { A = ast_leaf(p, AST_NUMBER, B); }
setval(A) ::= PLUS ICONST(B). { A = ast_leaf(p, AST_INTEGER, B); }
setval(A) ::= MINUS(O) ICONST(B). { A = ast_negate(p, O, ast_leaf(p, AST_INTEGER, B)); }
setval(A) ::= MINUS(O) FCONST(B). { A = ast_negate(p, O, ast_leaf(p, AST_NUMBER, B)); }
stmt(A) ::= SET(O) setscope(S) varname(B) toeq setvals(C). {
    A = ast_set(p, O.pos, B, C, S);
}
stmt(A) ::= SET(O) setscope(S) TIME ZONE setzone(C). {
    struct ast_token zone = {.text = OX_STR("timezone"), .pos = O.pos};
    A = ast_set(p, O.pos, zone, C, S);
}
stmt(A) ::= SET(O) setscope(S) NAMES SCONST(C). {
    struct ast_token encoding = {.text = OX_STR("client_encoding"), .pos = O.pos};
    A = ast_set(p, O.pos, encoding, ast_list_one(p, ast_leaf(p, AST_STRING, C)), S);
}
%type setscope {int}
setscope(A) ::= . { A = 0; }
setscope(A) ::= SESSION. { A = 'S'; }
setscope(A) ::= LOCAL. { A = 'L'; }
%type setzone {struct ast_list *}
setzone(A) ::= setval(B). { A = ast_list_one(p, B); }
setzone(A) ::= DEFAULT. { A = NULL; }
setzone(A) ::= LOCAL. { A = NULL; }
setzone(A) ::= INTERVAL SCONST(B) ifieldopt. { A = ast_list_one(p, ast_leaf(p, AST_STRING, B)); }
stmt(A) ::= SET(O) setscope TRANSACTION modes(B). {
    A = ast_transaction(p, O.pos, AST_SET_TRANSACTION, OX_STR_NULL, B);
}
stmt(A) ::= SET(O) setscope CHARACTERISTICS AS TRANSACTION modes(B). {
    A = ast_transaction(p, O.pos, AST_SET_SESSION_CHARACTERISTICS, OX_STR_NULL, B);
}
stmt(A) ::= SHOW(O) varname(B). { A = ast_show(p, O.pos, AST_SHOW, B.text); }
stmt(A) ::= SHOW(O) varname(B) LIKE SCONST(C). {
    A = ast_show(p, O.pos, AST_SHOW, B.text);
    A->set.values = ast_list_one(p, ast_leaf(p, AST_STRING, C));
}
stmt(A) ::= SHOW(O) TIME ZONE. { A = ast_show(p, O.pos, AST_SHOW, OX_STR("timezone")); }
stmt(A) ::= SHOW(O) TRANSACTION ISOLATION LEVEL. {
    A = ast_show(p, O.pos, AST_SHOW, OX_STR("transaction_isolation"));
}
stmt(A) ::= SHOW(O) SESSION AUTHORIZATION. {
    A = ast_show(p, O.pos, AST_SHOW, OX_STR("session_authorization"));
}
stmt(A) ::= SHOW(O) ALL. { A = ast_show(p, O.pos, AST_SHOW, OX_STR_NULL); A->set.all = true; }
stmt(A) ::= RESET(O) varname(B). { A = ast_show(p, O.pos, AST_RESET, B.text); }
stmt(A) ::= RESET(O) TIME ZONE. { A = ast_show(p, O.pos, AST_RESET, OX_STR("timezone")); }
stmt(A) ::= RESET(O) ALL. { A = ast_show(p, O.pos, AST_RESET, OX_STR_NULL); A->set.all = true; }
stmt(A) ::= ALTER(O) SYSTEM SET optname(B) toeq setvals(C). {
    A = ast_set(p, O.pos, B, C, 0);
    A->kind = AST_ALTER_SYSTEM;
}
stmt(A) ::= ALTER(O) SYSTEM RESET optname(B). {
    A = ast_set(p, O.pos, B, NULL, 0);
    A->kind = AST_ALTER_SYSTEM;
}
%type discard {struct ast_token}
stmt(A) ::= DISCARD(O) discard(B). { A = ast_named_stmt(p, AST_DISCARD, O.pos, B); }
discard(A) ::= ALL(B). { A = B; }
discard(A) ::= PLANS(B). { A = B; }
discard(A) ::= SEQUENCES(B). { A = B; }
discard(A) ::= TEMP(B). { A = B; }
discard(A) ::= TEMPORARY(B). { A = B; }

/* ---- Transactions -------------------------------------------------------------------------- */

%type modes {struct ast_list *}
%type mode {struct ast_option *}
%type omodes {struct ast_list *}
%type chain {int}
stmt(A) ::= BEGIN(O) workword omodes(B). {
    A = ast_transaction(p, O.pos, AST_BEGIN, OX_STR_NULL, B);
}
stmt(A) ::= START(O) TRANSACTION omodes(B). {
    A = ast_transaction(p, O.pos, AST_BEGIN, OX_STR_NULL, B);
}
stmt(A) ::= COMMIT(O) workword chain(C). {
    A = ast_transaction(p, O.pos, AST_COMMIT, OX_STR_NULL, NULL);
    A->transaction.chain = C;
}
stmt(A) ::= END(O) workword chain(C). {
    A = ast_transaction(p, O.pos, AST_COMMIT, OX_STR_NULL, NULL);
    A->transaction.chain = C;
}
stmt(A) ::= ROLLBACK(O) workword chain(C). {
    A = ast_transaction(p, O.pos, AST_ROLLBACK, OX_STR_NULL, NULL);
    A->transaction.chain = C;
}
stmt(A) ::= ABORT(O) workword chain(C). {
    A = ast_transaction(p, O.pos, AST_ROLLBACK, OX_STR_NULL, NULL);
    A->transaction.chain = C;
}
stmt(A) ::= ROLLBACK(O) workword TO name(B). {
    A = ast_transaction(p, O.pos, AST_ROLLBACK_TO, B.text, NULL);
}
stmt(A) ::= ROLLBACK(O) workword TO SAVEPOINT name(B). {
    A = ast_transaction(p, O.pos, AST_ROLLBACK_TO, B.text, NULL);
}
stmt(A) ::= SAVEPOINT(O) name(B). { A = ast_transaction(p, O.pos, AST_SAVEPOINT, B.text, NULL); }
stmt(A) ::= RELEASE(O) name(B). { A = ast_transaction(p, O.pos, AST_RELEASE, B.text, NULL); }
stmt(A) ::= RELEASE(O) SAVEPOINT name(B). {
    A = ast_transaction(p, O.pos, AST_RELEASE, B.text, NULL);
}
workword ::= .
workword ::= WORK.
workword ::= TRANSACTION.
chain(A) ::= . { A = 0; }
chain(A) ::= AND CHAIN. { A = 1; }
chain(A) ::= AND NO CHAIN. { A = 0; }
omodes(A) ::= . { A = NULL; }
omodes(A) ::= modes(B). { A = B; }
modes(A) ::= mode(B). { A = ast_list_one(p, B); }
modes(A) ::= modes(B) mode(C). { A = ast_list_add(p, B, C); }
modes(A) ::= modes(B) COMMA mode(C). { A = ast_list_add(p, B, C); }
mode(A) ::= ISOLATION(O) LEVEL SERIALIZABLE. {
    A = ast_option_word(p, O, "transaction_isolation", "serializable");
}
mode(A) ::= ISOLATION(O) LEVEL REPEATABLE READ. {
    A = ast_option_word(p, O, "transaction_isolation", "repeatable read");
}
mode(A) ::= ISOLATION(O) LEVEL READ COMMITTED. {
    A = ast_option_word(p, O, "transaction_isolation", "read committed");
}
mode(A) ::= ISOLATION(O) LEVEL READ UNCOMMITTED. {
    A = ast_option_word(p, O, "transaction_isolation", "read uncommitted");
}
mode(A) ::= READ(O) ONLY. { A = ast_option_word(p, O, "transaction_read_only", "on"); }
mode(A) ::= READ(O) WRITE. { A = ast_option_word(p, O, "transaction_read_only", "off"); }
mode(A) ::= DEFERRABLE(O). { A = ast_option_word(p, O, "transaction_deferrable", "on"); }
mode(A) ::= NOT DEFERRABLE(O). { A = ast_option_word(p, O, "transaction_deferrable", "off"); }

/* ---- Prepared statements, cursors -------------------------------------------------------------- */

%type ptypes {struct ast_list *}
%type typelist {struct ast_list *}
%type preparable {struct ast_stmt *}
stmt(A) ::= PREPARE(O) name(B) ptypes(C) AS preparable(D). {
    A = ast_stmt_new(p, AST_PREPARE, O.pos);
    A->prepare.name = B.text;
    A->prepare.types = C;
    A->prepare.stmt = D;
}
ptypes(A) ::= . { A = NULL; }
ptypes(A) ::= LP typelist(B) RP. { A = B; }
typelist(A) ::= type(B). { A = ast_list_one(p, B); }
typelist(A) ::= typelist(B) COMMA type(C). { A = ast_list_add(p, B, C); }
preparable(A) ::= select_any(B). { A = ast_stmt_new(p, AST_SELECT_STMT, B->pos); A->select = B; }
preparable(A) ::= subscribe(B). { A = ast_stmt_new(p, AST_SUBSCRIBE_STMT, B->pos); A->subscribe = B; }
preparable(A) ::= insert(B). { A = ast_stmt_new(p, AST_INSERT, 0); A->insert = B; }
%type executed {struct ast_stmt *}
stmt(A) ::= executed(B). { A = B; }
executed(A) ::= EXECUTE(O) name(B). { A = ast_named_stmt(p, AST_EXECUTE, O.pos, B); }
executed(A) ::= EXECUTE(O) name(B) LP exprs(C) RP. {
    A = ast_named_stmt(p, AST_EXECUTE, O.pos, B);
    A->execute.args = C;
}
stmt(A) ::= DEALLOCATE(O) prepword name(B). { A = ast_named_stmt(p, AST_DEALLOCATE, O.pos, B); }
stmt(A) ::= DEALLOCATE(O) prepword ALL. { A = ast_named_stmt(p, AST_DEALLOCATE, O.pos, NO_TOKEN); }
prepword ::= .
prepword ::= PREPARE.
%type explained {struct ast_stmt *}
explained(A) ::= preparable(B). { A = B; }
explained(A) ::= executed(B). { A = B; }
stmt(A) ::= EXPLAIN(O) explained(D). { A = ast_explain(p, O.pos, false, false, NULL, D); }
stmt(A) ::= EXPLAIN(O) VERBOSE explained(D). {
    A = ast_explain(p, O.pos, false, true, NULL, D);
}
stmt(A) ::= EXPLAIN(O) analyze verboseopt(C) explained(D). {
    A = ast_explain(p, O.pos, true, C, NULL, D);
}
stmt(A) ::= EXPLAIN(O) LP expopts(B) RP explained(D). {
    A = ast_explain(p, O.pos, false, false, B, D);
}
%type expopts {struct ast_list *}
%type expopt {struct ast_option *}
%type expname {struct ast_token}
expopts(A) ::= expopt(B). { A = ast_list_one(p, B); }
expopts(A) ::= expopts(B) COMMA expopt(C). { A = ast_list_add(p, B, C); }
expopt(A) ::= expname(B). { A = ast_option(p, B, NULL); }
expopt(A) ::= expname(B) setval(C). { A = ast_option(p, B, C); }
expname(A) ::= name(B). { A = B; }
expname(A) ::= ANALYZE(B). { A = B; }
expname(A) ::= VERBOSE(B). { A = B; }
%type verboseopt {int}
analyze ::= ANALYZE.
analyze ::= ANALYSE.
verboseopt(A) ::= . { A = 0; }
verboseopt(A) ::= VERBOSE. { A = 1; }
stmt(A) ::= DECLARE(O) name(B) curopts(C) CURSOR holdopt(H) FOR select_any(S). {
    A = ast_declare(p, O.pos, B, C, H, S, NULL);
}
stmt(A) ::= DECLARE(O) name(B) curopts(C) CURSOR holdopt(H) FOR subscribe(S). {
    A = ast_declare(p, O.pos, B, C, H, NULL, S);
}
%type curopts {int}
%type holdopt {int}
curopts(A) ::= . { A = 0; }
curopts(A) ::= curopts(B) BINARY. { A = B | 1; }
curopts(A) ::= curopts(B) SCROLL. { A = B | 2; }
curopts(A) ::= curopts(B) NO SCROLL. { A = B; }
curopts(A) ::= curopts(B) INSENSITIVE. { A = B; }
curopts(A) ::= curopts(B) ASENSITIVE. { A = B; }
holdopt(A) ::= . { A = 0; }
holdopt(A) ::= WITH HOLD. { A = 1; }
holdopt(A) ::= WITHOUT HOLD. { A = 0; }
%type fetch {struct ast_fetch *}
%type count {struct ast_expr *}
stmt(A) ::= FETCH(O) fetch(B) withopt(W). {
    A = ast_stmt_new(p, AST_FETCH, O.pos);
    A->fetch = B;
    B->options = W;
}
stmt(A) ::= MOVE(O) fetch(B). { A = ast_stmt_new(p, AST_FETCH, O.pos); A->fetch = B; B->move = true; }
count(A) ::= ICONST(B). { A = ast_leaf(p, AST_INTEGER, B); }
count(A) ::= PLUS ICONST(B). { A = ast_leaf(p, AST_INTEGER, B); }
count(A) ::= MINUS(O) ICONST(B). { A = ast_negate(p, O, ast_leaf(p, AST_INTEGER, B)); }
fromin ::= FROM.
fromin ::= IN.
fromword ::= .
fromword ::= fromin.
fetch(A) ::= name(B). { A = ast_fetch(p, 'F', NULL, B); }
fetch(A) ::= fromin name(B). { A = ast_fetch(p, 'F', NULL, B); }
fetch(A) ::= NEXT fromword name(B). { A = ast_fetch(p, 'F', NULL, B); }
fetch(A) ::= PRIOR fromword name(B). { A = ast_fetch(p, '<', NULL, B); }
fetch(A) ::= FIRST fromword name(B). { A = ast_fetch(p, 'X', NULL, B); }
fetch(A) ::= LAST fromword name(B). { A = ast_fetch(p, 'X', NULL, B); }
fetch(A) ::= ABSOLUTE count(C) fromword name(B). { A = ast_fetch(p, 'X', C, B); }
fetch(A) ::= RELATIVE count(C) fromword name(B). { A = ast_fetch(p, 'R', C, B); }
fetch(A) ::= count(C) fromword name(B). { A = ast_fetch(p, 'F', C, B); }
fetch(A) ::= ALL fromword name(B). { A = ast_fetch(p, '*', NULL, B); }
fetch(A) ::= FORWARD fromword name(B). { A = ast_fetch(p, 'F', NULL, B); }
fetch(A) ::= FORWARD count(C) fromword name(B). { A = ast_fetch(p, 'F', C, B); }
fetch(A) ::= FORWARD ALL fromword name(B). { A = ast_fetch(p, '*', NULL, B); }
fetch(A) ::= BACKWARD fromword name(B). { A = ast_fetch(p, '<', NULL, B); }
fetch(A) ::= BACKWARD count(C) fromword name(B). { A = ast_fetch(p, '<', C, B); }
fetch(A) ::= BACKWARD ALL fromword name(B). { A = ast_fetch(p, '<', NULL, B); }
stmt(A) ::= CLOSE(O) name(B). { A = ast_named_stmt(p, AST_CLOSE, O.pos, B); }
stmt(A) ::= CLOSE(O) ALL. { A = ast_named_stmt(p, AST_CLOSE, O.pos, NO_TOKEN); }
stmt(A) ::= UNLISTEN(O) name(B). { A = ast_named_stmt(p, AST_LISTEN, O.pos, B); }
stmt(A) ::= UNLISTEN(O) STAR. { A = ast_named_stmt(p, AST_LISTEN, O.pos, NO_TOKEN); }
