"""Domains that tell nothing of a company: providers of free mail, and sites where everybody has a page.

Kept by hand. A domain here also covers its subdomains.
"""

from __future__ import annotations

_PROVIDERS = """
gmail.com googlemail.com outlook.com hotmail.com live.com msn.com passport.com windowslive.com outlook.com.br
hotmail.com.br live.com.br outlook.pt outlook.es outlook.fr outlook.de outlook.it outlook.jp outlook.co.id
outlook.in hotmail.co.uk hotmail.fr hotmail.de hotmail.it hotmail.es hotmail.com.ar hotmail.com.mx hotmail.com.tr
hotmail.be hotmail.nl hotmail.ca hotmail.pt hotmail.co.jp hotmail.ch hotmail.cl live.co.uk live.fr live.de live.it
live.nl live.be live.ca live.com.pt live.com.mx live.com.ar live.com.au live.cl live.dk live.se live.no live.in
yahoo.com yahoo.com.br ymail.com rocketmail.com myyahoo.com yahoo.co.uk yahoo.fr yahoo.de yahoo.it yahoo.es
yahoo.com.ar yahoo.com.mx yahoo.ca yahoo.co.in yahoo.in yahoo.co.jp yahoo.com.au yahoo.com.tr yahoo.com.ph
yahoo.com.vn yahoo.co.id yahoo.com.sg yahoo.com.tw yahoo.com.hk yahoo.co.nz yahoo.ie yahoo.gr yahoo.pl yahoo.ro
yahoo.se yahoo.dk yahoo.no yahoo.cl yahoo.com.co yahoo.com.pe yahoo.com.ve aol.com aol.com.br aol.de aol.fr
aol.co.uk aim.com netscape.net love.com games.com icloud.com me.com mac.com
uol.com.br bol.com.br terra.com.br ig.com.br globo.com globomail.com r7.com oi.com.br zipmail.com.br zipmail.com
pop.com.br ibest.com.br superig.com.br click21.com.br brturbo.com.br brturbo.com ibestvip.com.br sercomtel.com.br
veloxmail.com.br oi.net.br netsite.com.br uai.com.br hotlink.com.br onda.com.br powerline.com.br itelefonica.com.br
speedy.com.br gvt.com.br inbox.com.br mail.com.br folha.com.br estadao.com.br oglobo.com.br yahoogrupos.com.br
terra.com terra.es terra.com.mx terra.cl terra.com.ar sapo.pt sapo.com.br netcabo.pt clix.pt iol.pt mail.pt
portugalmail.pt portugalmail.com mail.telepac.pt vodafone.pt megamail.pt
proton.me protonmail.com protonmail.ch pm.me tutanota.com tutanota.de tutamail.com tuta.io tuta.com keemail.me
zoho.com zohomail.com zohomail.eu zohomail.in mail.com email.com usa.com post.com europe.com asia.com iname.com
writeme.com myself.com consultant.com accountant.com engineer.com cheerful.com techie.com mail2world.com
gmx.com gmx.net gmx.de gmx.at gmx.ch gmx.us gmx.co.uk gmx.fr gmx.es web.de t-online.de freenet.de arcor.de
online.de vodafone.de posteo.de posteo.net mailbox.org aikq.de mail.de email.de 1und1.de emailn.de bluewin.ch
hispeed.ch sunrise.ch aon.at chello.at utanet.at inode.at orange.fr wanadoo.fr free.fr laposte.net sfr.fr
neuf.fr club-internet.fr bbox.fr numericable.fr voila.fr aliceadsl.fr libero.it virgilio.it alice.it tin.it
tiscali.it tim.it email.it fastwebnet.it poste.it inwind.it iol.it supereva.it katamail.com telefonica.net
movistar.es ono.com ya.com btinternet.com btopenworld.com sky.com talktalk.net virginmedia.com ntlworld.com
blueyonder.co.uk tiscali.co.uk o2.co.uk plus.net mail.ru bk.ru inbox.ru list.ru internet.ru yandex.ru yandex.com
ya.ru yandex.ua yandex.by yandex.kz rambler.ru lenta.ru autorambler.ru myrambler.ru ro.ru ukr.net i.ua meta.ua
bigmir.net wp.pl o2.pl onet.pl op.pl interia.pl interia.eu gazeta.pl tlen.pl poczta.fm vp.pl onet.eu seznam.cz
centrum.cz email.cz post.cz volny.cz atlas.cz azet.sk zoznam.sk centrum.sk freemail.hu citromail.hu indamail.hu
abv.bg mail.bg dir.bg rambler.ua in.gr otenet.gr telenet.be skynet.be proximus.be scarlet.be ziggo.nl kpnmail.nl
planet.nl home.nl xs4all.nl hetnet.nl casema.nl upcmail.nl zonnet.nl quicknet.nl online.no broadpark.no
telia.com comhem.se bredband.net spray.se passagen.se home.se tele2.se mail.dk jubii.dk ofir.dk
qq.com foxmail.com 163.com 126.com yeah.net sina.com sina.cn sohu.com 139.com 189.cn wo.cn aliyun.com 21cn.com
tom.com naver.com daum.net hanmail.net nate.com kakao.com docomo.ne.jp ezweb.ne.jp softbank.ne.jp i.softbank.jp
nifty.com biglobe.ne.jp ocn.ne.jp rediffmail.com indiatimes.com sify.com in.com comcast.net verizon.net
att.net sbcglobal.net bellsouth.net charter.net cox.net earthlink.net juno.com netzero.net netzero.com
optonline.net roadrunner.com windstream.net frontier.com frontiernet.net centurylink.net embarqmail.com q.com
mindspring.com peoplepc.com suddenlink.net rogers.com bell.net sympatico.ca shaw.ca telus.net videotron.ca
bigpond.com bigpond.net.au optusnet.com.au iinet.net.au tpg.com.au internode.on.net xtra.co.nz
fastmail.com fastmail.fm fastmail.net sent.com mailfence.com runbox.com hushmail.com hush.com lavabit.com
riseup.net disroot.org autistici.org countermail.com startmail.com hey.com duck.com mozmail.com simplelogin.com
anonaddy.com relay.firefox.com privaterelay.appleid.com mailinator.com guerrillamail.com 10minutemail.com
yopmail.com temp-mail.org trashmail.com sharklasers.com maildrop.cc getnada.com dispostable.com
inbox.com inbox.lv mail.ee hot.ee lycos.com excite.com caramail.com hotbox.com mailexcite.com bigfoot.com
ciudad.com.ar fibertel.com.ar arnet.com.ar speedy.com.ar prodigy.net.mx une.net.co etb.net.co cantv.net
adinet.com.uy vtr.net entelchile.net telmex.com walla.com walla.co.il zahav.net.il netvision.net.il
"""


_SITES = """
facebook.com fb.com instagram.com linkedin.com twitter.com x.com youtube.com tiktok.com pinterest.com wa.me
whatsapp.com t.me telegram.me linktr.ee bio.link bit.ly goo.gl tinyurl.com google.com google.com.br g.page
maps.app.goo.gl sites.google.com docs.google.com drive.google.com forms.gle medium.com github.com gitlab.com
wikipedia.org wordpress.com blogspot.com wixsite.com wix.com weebly.com squarespace.com webnode.com
webnode.com.br jimdosite.com strikingly.com carrd.co notion.site notion.so myshopify.com lojaintegrada.com.br
nuvemshop.com.br mercadolivre.com.br mercadoshops.com.br olx.com.br shopee.com.br amazon.com amazon.com.br
ifood.com.br booking.com tripadvisor.com tripadvisor.com.br negocio.site business.site ueniweb.com godaddysites.com
herokuapp.com netlify.app vercel.app web.app firebaseapp.com github.io gitlab.io pages.dev canva.site
"""

FREE_MAIL = frozenset(_PROVIDERS.split())
SHARED_SITES = FREE_MAIL | frozenset(_SITES.split())
