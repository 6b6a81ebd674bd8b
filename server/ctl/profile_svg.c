/*
 * profile_svg.c: a profile as a page: a flame graph that needs nothing else.
 *
 * It is an SVG with a little script: a click on a frame makes it as wide as the page, and the search marks frames and
 * says how much of the time they have. It is light or dark as the browser is. Frames that would be too narrow to be
 * seen are left out.
 */
#include <stdbool.h>
#include <string.h>

#include "ctl/profile_formats.h"

#define WIDTH     1200 /* pixels */
#define ROW       18
#define TOP       64
#define MIN_WIDTH 0.1 /* pixels of a frame */
#define CHARACTER 6.6 /* pixels */

static const char style[] =
    "<style>\n"
    ":root{--back:#fff;--ink:#1c1c1c;--dim:#666;--light:70%}\n"
    "@media(prefers-color-scheme:dark){:root{--back:#16181c;--ink:#eee;--dim:#999;--light:38%}}\n"
    "svg{background:var(--back);font:11px ui-monospace,Menlo,Consolas,monospace}\n"
    "text{fill:var(--ink);pointer-events:none}.dim{fill:var(--dim)}.do{cursor:pointer;pointer-events:all}\n"
    "rect{stroke:var(--back);stroke-width:.5;cursor:pointer}rect:hover{stroke:var(--ink)}\n"
    ".all{fill:hsl(0 0% var(--light))}.found{fill:hsl(300 80% 60%)!important}\n"
    "</style>\n";

static const char script[] =
    "<script><![CDATA[\n"
    "(function(){'use strict';\n"
    "const svg=document.documentElement,W=+svg.getAttribute('data-width');\n"
    "const frames=[...svg.querySelectorAll('g.f')].map(g=>({g,r:g.querySelector('rect'),t:g.querySelector('text'),\n"
    " x:+g.getAttribute('data-x'),w:+g.getAttribute('data-w'),n:g.getAttribute('data-n')}));\n"
    "const note=svg.getElementById('note'),reset=svg.getElementById('reset'),seek=svg.getElementById('seek');\n"
    "function show(x0,w0){for(const f of frames){\n"
    " const a=Math.max(f.x,x0),b=Math.min(f.x+f.w,x0+w0),x=(a-x0)*W/w0,w=(b-a)*W/w0;\n"
    " if(w<=0.05){f.g.style.display='none';continue}\n"
    " f.g.style.display='';f.r.setAttribute('x',x);f.r.setAttribute('width',w);f.t.setAttribute('x',x+3);\n"
    " const c=Math.floor((w-6)/6.6);\n"
    " f.t.textContent=c<3?'':f.n.length<=c?f.n:f.n.slice(0,c-2)+'..'}\n"
    " reset.style.display=w0<W?'':'none'}\n"
    "for(const f of frames)f.g.addEventListener('click',()=>show(f.x,f.w));\n"
    "reset.addEventListener('click',()=>show(0,W));\n"
    "function search(){const s=prompt('Functions whose names contain, or match the expression:','');\n"
    " if(s===null)return;let e=null;try{e=s&&new RegExp(s,'i')}catch(_){e={test:n=>n.includes(s)}}\n"
    " const hit=[];for(const f of frames){const h=e&&e.test(f.n);f.r.classList.toggle('found',!!h);\n"
    "  if(h)hit.push([f.x,f.x+f.w])}\n"
    " hit.sort((a,b)=>a[0]-b[0]);let sum=0,end=0;\n"
    " for(const[a,b]of hit){sum+=Math.max(0,b-Math.max(a,end));end=Math.max(end,b)}\n"
    " note.textContent=e?s+': '+(100*sum/W).toFixed(1)+' % of the time':''}\n"
    "seek.addEventListener('click',search);\n"
    "addEventListener('keydown',e=>{if(e.key==='/'||(e.ctrlKey&&e.key==='f')){e.preventDefault();search()}\n"
    " if(e.key==='Escape')show(0,W)});\n"
    "show(0,W)})();\n"
    "]]></script>\n";

struct svg {
    FILE *out;
    double scale; /* pixels per microsecond */
    int64_t whole;
};

static void write_xml(FILE *out, const char *s, size_t size)
{
    for (size_t i = 0; i < size && s[i]; i++)
        switch (s[i]) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc((unsigned char)s[i] < ' ' ? '?' : s[i], out);
        }
}

static size_t tree_depth(const struct profile_node *node, const struct svg *svg)
{
    size_t deepest = 0;

    for (size_t i = 0; i < node->count; i++) {
        size_t depth =
            (double)node->children[i]->total * svg->scale < MIN_WIDTH ? 0 : tree_depth(node->children[i], svg);

        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

/* Warm colours for the CPU, cold ones for waits, a shade for each name. */
static int hue_of(const char *kind, const char *name)
{
    unsigned hash = 0;

    for (; *name; name++)
        hash = hash * 31 + (unsigned char)*name;
    return (!strncmp(kind, "on CPU", 6) ? 10 : !strcmp(kind, "ready") ? 80 : 190) + (int)(hash % 40);
}

/* kind: what coroutines do there; NULL: of the root. */
static void svg_write_frame(const struct svg *svg, const struct profile_node *node, const char *kind, double x,
                            size_t row)
{
    double width = (double)node->total * svg->scale;
    size_t y = TOP + row * ROW, fits = width > 6 ? (size_t)((width - 6) / CHARACTER) : 0;

    fprintf(svg->out, "<g class=\"f\" data-x=\"%.3f\" data-w=\"%.3f\" data-n=\"", x, width);
    write_xml(svg->out, node->name, SIZE_MAX);
    fputs("\"><title>", svg->out);
    write_xml(svg->out, node->name, SIZE_MAX);
    fprintf(svg->out, ": %.3f s, %.1f %%</title><rect x=\"%.3f\" y=\"%zu\" width=\"%.3f\" height=\"%d\"",
            (double)node->total / 1e6, 100 * (double)node->total / (double)svg->whole, x, y, width, ROW);
    if (kind)
        fprintf(svg->out, " style=\"fill:hsl(%d 70%% var(--light))\"/>", hue_of(kind, node->name));
    else
        fputs(" class=\"all\"/>", svg->out);
    fprintf(svg->out, "<text x=\"%.3f\" y=\"%zu\">", x + 3, y + 13);
    if (fits >= 3)
        write_xml(svg->out, node->name, fits);
    fputs("</text></g>\n", svg->out);
}

static void svg_write_frames(const struct svg *svg, const struct profile_node *node, const char *kind, double x,
                             size_t row)
{
    svg_write_frame(svg, node, kind, x, row);
    for (size_t i = 0; i < node->count; i++) {
        const struct profile_node *child = node->children[i];
        double width = (double)child->total * svg->scale;

        if (width >= MIN_WIDTH)
            svg_write_frames(svg, child, kind ? kind : child->name, x, row + 1);
        x += width;
    }
}

void profile_write_svg(FILE *out, const struct profile_node *root)
{
    struct svg svg = {out, root->total > 0 ? WIDTH / (double)root->total : 0, root->total > 0 ? root->total : 1};
    size_t height = TOP + (tree_depth(root, &svg) + 1) * ROW;

    fprintf(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d "
            "%zu\" width=\"100%%\" preserveAspectRatio=\"xMidYMin\" data-width=\"%d\">\n",
            WIDTH, height, WIDTH);
    fputs(style, out);
    fprintf(out, "<text x=\"3\" y=\"20\" style=\"font-size:15px\">%s</text>\n<text x=\"3\" y=\"40\" class=\"dim\">",
            root->total > 0 ? "Where the time went" : "Nothing ran or waited");
    write_xml(out, root->name, SIZE_MAX);
    fprintf(out,
            "</text>\n<text x=\"3\" y=\"56\" id=\"note\"/>\n"
            "<text x=\"%d\" y=\"20\" id=\"seek\" class=\"do\" text-anchor=\"end\">search (/)</text>\n"
            "<text x=\"%d\" y=\"40\" id=\"reset\" class=\"do\" text-anchor=\"end\" style=\"display:none\">all of "
            "it (Esc)</text>\n",
            WIDTH - 3, WIDTH - 3);
    svg_write_frames(&svg, root, NULL, 0, 0);
    fputs(script, out);
    fputs("</svg>\n", out);
}
